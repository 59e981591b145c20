"""What can be asked about a group of channels before some of them go. Nothing is computed before it is asked for."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from ...ir.budget import roomy_batch
from ...ir.errors import UsageError
from ...ir.feeds import Calibration
from ...ir.graph import Array, Graph
from ..analysis.channels.groups import Channels, Group
from ..analysis.channels.masking import masked
from ..analysis.channels.readers import Reader, readers, units_of
from ..analysis.channels.repaired import editable_layers, without
from ..analysis.channels.squeeze_excite import gates
from ..analysis.channels.writers import strengths
from ..analysis.layers.linear import Linear
from ..analysis.statistics.activations import BATCH, Activations
from ..analysis.statistics.fisher import fisher
from ..analysis.statistics.gate_goals import halved
from ..analysis.statistics.gate_training import gate_costs, standin_costs
from ..analysis.statistics.gates import soft_gates
from ..analysis.statistics.input_moments import InputMoments
from ..analysis.statistics.judge import Judge, judge
from ..analysis.view import View
from ..base import Context

WEIGHTS, COVARIANCE, SAMPLES = "weights", "covariance", "samples"
GRADIENTS, GATES, LABELS = "gradients", "gates", "labels"
MEASURED = frozenset({COVARIANCE, SAMPLES})
"""What calibration data give."""
PROVIDED = frozenset({GRADIENTS, GATES, LABELS})
"""What neither a model nor unlabelled samples hold: it lies in ``Context.provided`` under its name."""
NEEDS = frozenset({WEIGHTS}) | MEASURED | PROVIDED

_MOST_JUDGING = 128
_DRAWS = 2  # labels a sample; the samples differ more than the labels do
_PRICE = 3.0  # of all gates open, in units of the outputs' variance
_GATE_STEPS = 100


class Gradients(Protocol):
    """Derivatives of a loss by a factor of 1 on every unit of a group, sample by sample."""

    @property
    def key(self) -> str:
        """Tell them from others of the same graph, samples and seed."""

    def batches(self, graph: Graph, channels: Channels, group: Group, samples: Calibration) -> Iterator[Array]:
        """Yield them batch by batch, (samples of the batch, units), units numbered as in ``group.cells.ravel()``."""


@dataclass(frozen=True)
class Study:
    """A graph with its analyses, and what is measured on it once for all groups. ``moments``: by node name;
    ``free``: the groups that may lose channels, None for all that have several.
    """

    view: View
    context: Context
    moments: Mapping[str, InputMoments]
    free: Sequence[Group] | None = None
    weights: dict[str, Array] = field(default_factory=dict)

    @property
    def graph(self) -> Graph:
        """The graph, which must not be changed."""
        return self.view.graph

    @property
    def channels(self) -> Channels:
        """Its groups of coupled channels."""
        return self.view.channels

    @cached_property
    def fisher(self) -> Array:
        """The diagonal of the Fisher matrix by a factor on every class, (classes,)."""
        return fisher(self.graph, self.channels, self.samples, self.context.runner, self.context.rng(), _DRAWS)

    @cached_property
    def gate_costs(self) -> Array:
        """What every class costs that goes, by gates trained within half of the MACs, (classes,)."""
        groups = [group for group in self.channels.groups if group.width > 1] if self.free is None else self.free
        costs = standin_costs(self.view, groups, self.moments)
        goal = halved(self.graph, self.channels, {name: np.minimum(m, c.min(1)) for name, (m, c) in costs.items()})
        return gate_costs(self.view, goal, costs, self.samples, self.context.runner)

    @cached_property
    def squeeze_excite(self) -> list[str]:
        """Names of the tensors with which the network itself gates channels."""
        return gates(self.graph, self.channels)

    @cached_property
    def fitted_gates(self) -> Array:
        """Factors from 0 to 1 on every class, (classes,), that the outputs hardly move by, at an equal price each."""
        price = np.full(self.channels.context.registry_size(), _PRICE)
        price /= sum(group.cells.size for group in self.channels.groups)
        return soft_gates(self.graph, self.channels, self.samples, self.context.runner, price, _GATE_STEPS)

    @cached_property
    def strengths(self) -> Array:
        """The mean square of every class that weights alone tell, (classes,)."""
        return strengths(self.graph, self.channels, self.view.layers, self.weights)

    @cached_property
    def samples(self) -> Calibration:
        """Samples to take statistics from. Raises UsageError without calibration data."""
        if self.context.calibration is None:
            raise UsageError("this criterion asks for samples, and there are none", hint="give --data")
        return self.context.fitting()

    @cached_property
    def activations(self) -> Activations:
        """The inner tensors on the samples, in bounded memory."""
        return Activations(self.graph, list(self.samples.batches(roomy_batch(self.graph, BATCH))), self.context.runner)

    @cached_property
    def editable(self) -> dict[str, Linear]:
        """The layers whose weights may be edited, by node name."""
        return editable_layers(self.graph, self.channels)

    @cached_property
    def judge(self) -> Judge:
        """The graph's outputs on samples that statistics are not taken from."""
        _ = self.samples
        return judge(self.graph, self.context.judging(_MOST_JUDGING), self.context.runner)


@dataclass(frozen=True)
class Evidence:
    """What is known, or can be found out, about one group. ``needs``: what its criterion has said that it reads.

    A *unit* is one channel of the group, numbered as in ``group.cells.ravel()``: those of the first cell first. Of
    every cell equally many stay.
    """

    study: Study
    group: Group
    rng: np.random.Generator
    needs: frozenset[str]

    @property
    def form(self) -> tuple[int, int]:
        """How many cells, and how many units each has."""
        cells, width = self.group.cells.shape
        return cells, width

    @cached_property
    def readers(self) -> list[Reader]:
        """The layers that sum over the group's channels, as matrices, with moments where ``covariance`` is needed."""
        study = self.study
        moments = study.moments if COVARIANCE in self.needs else {}
        return readers(study.graph, study.channels, self.group, study.view.layers, moments, study.weights)

    @property
    def fisher(self) -> Array:
        """The diagonal of the Fisher matrix by a factor on every unit, (units,). Raises UsageError without data."""
        return self.study.fisher[self.group.cells.ravel()]

    @property
    def gate_costs(self) -> Array:
        """What every unit costs that goes, by trained gates, (units,). Raises UsageError without data."""
        return self.study.gate_costs[self.group.cells.ravel()]

    @property
    def fitted_gates(self) -> Array:
        """Factors from 0 to 1 on every unit, (units,), fitted to the network's own outputs against a price on each.

        Raises UsageError without data, UnsupportedOpError at a node without a gradient.
        """
        return self.study.fitted_gates[self.group.cells.ravel()]

    @cached_property
    def squeeze_excite(self) -> tuple[str, ...]:
        """Names of the tensors with which the network itself gates channels of the group."""
        return tuple(name for name in self.study.squeeze_excite if (self.units(name) >= 0).any())

    @property
    def strengths(self) -> Array:
        """The mean square of every class of the graph that weights alone tell, (classes,); see ``Group.cells``."""
        return self.study.strengths

    @property
    def samples(self) -> Calibration:
        """The samples to take statistics from. Raises UsageError without calibration data."""
        return self.study.samples

    @cached_property
    def tensors(self) -> tuple[str, ...]:
        """Names of the tensors in which the group's readers read its channels."""
        found = (
            self.study.graph.node(end.node).inputs[end.operand]
            for end in self.study.channels.context.contractions
            if np.isin(end.labels.atoms, self.group.cells).any()
        )
        return tuple(dict.fromkeys(tensor.name for tensor in found if not tensor.is_constant))

    def units(self, tensor: str) -> Array:
        """Return which unit every entry of a tensor belongs to, -1 for none; the array broadcasts to its shape."""
        return units_of(self.study.channels, self.group)[self.study.channels.context.labels[tensor].atoms]

    def activations(self) -> Iterator[dict[str, Array]]:
        """Yield the values of :attr:`tensors` on the samples, batch by batch. Raises UsageError without data."""
        yield from self.values(self.tensors)

    def values(self, tensors: Sequence[str]) -> Iterator[dict[str, Array]]:
        """Yield the values of tensors on the samples, batch by batch. Raises UsageError without data."""
        pieces = self.study.activations.pieces(tensors)
        for values in zip(*pieces.values(), strict=True):
            yield dict(zip(pieces, values, strict=True))

    def divergence(self, stays: Array) -> float:
        """Return how far the outputs of the whole network move when the other units are zeroed where they are read.

        ``stays`` (units,) bool. As :func:`optimise_onnx.passes.analysis.statistics.divergence.divergence`, summed over
        outputs, on samples that statistics are not taken from; one run of the network behind the group. Raises
        UsageError without data.
        """
        study = self.study
        kept = {self.group.name: self.group.cells.ravel()[np.asarray(stays, bool)]}
        return study.judge.of(masked(study.graph, study.channels, kept))

    def repaired_divergence(self, stays: Array) -> float:
        """As :meth:`divergence`, but the readers make up for what goes (methods.md#loss).

        Raises UsageError without data. Needs ``covariance`` too.
        """
        study = self.study
        return study.judge.of(without(study.graph, study.channels, self.group, stays, study.editable, self.readers))

    def gradients(self) -> Iterator[Array]:
        """Yield derivatives of the loss by a factor on every unit, (samples of a batch, units) at a time.

        Raises UsageError where none are provided.
        """
        given: Gradients = self._provided(GRADIENTS)
        return given.batches(self.study.graph, self.study.channels, self.group, self.samples)

    @property
    def labels(self) -> Array:
        """The labels of the samples, one each. Raises UsageError where none are provided."""
        values: Array = self._provided(LABELS)
        return values[: self.samples.samples]

    @property
    def gates(self) -> Array:
        """Factors that training has put on the units, (units,). Raises UsageError where none are provided."""
        gates: Mapping[str, Array] = self._provided(GATES)
        return gates[self.group.name]

    def _provided(self, need: str) -> Any:
        if need not in self.study.context.provided:
            raise UsageError(f"this criterion asks for {need}, and none are provided")
        return self.study.context.provided[need]
