"""Gates: a factor on every class of channels where layers read it, fitted by the slopes of the outputs' error.

A gate ``g`` lies over the residual between a channel and what stands in for it: ``z' = z + g (stand-in - z)``. All
places where a channel is read share its gates. They are weights of a graph of loss and slopes: a step changes no
session.

Reference: Huang et al., "Acceleration-aware fine-grained channel pruning" (AFCP), IEEE TCAD 2022, of which the abstract
alone was found: how gates are trained here is ours.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import cycle
from math import prod

import numpy as np

from ....ir.feeds import Calibration, Feeds, batch_size, length, repeated
from ....ir.graph import Array, Graph, Tensor
from ....ir.runner import Runner
from ....ir.shapes import concrete, input_sizes
from ..channels.groups import Channels
from ..gradients.onnx_objective import OnnxObjective
from ..gradients.optimiser import Optimiser
from ..gradients.task import Task, spread
from ..outputs.aims import aims
from .reads import Affine, Read, reads

BATCH = 32
_MEASURED = 256  # samples that the scale of an output is taken from
_OPEN = 2.0  # the logit that a factor starts from
_RATE = 0.1


def soft_gates(
    graph: Graph, channels: Channels, samples: Calibration, runner: Runner, price: Array, steps: int
) -> Array:
    """Return factors from 0 to 1 on every class, (classes,), that lessen the outputs' error plus ``price @ factors``.

    ``price`` (classes,) is in units of the outputs' squared error relative to their variance; factors are sigmoids of
    logits that Adam moves, one batch a step. Raises UnsupportedOpError at a node without a gradient.
    """
    gates = Gates(graph, channels, samples, runner, {})
    adam = Optimiser(0.0, _RATE)
    state = adam.start(np.full(gates.classes, _OPEN))
    for step, feeds in zip(range(steps), gates.batches(), strict=False):
        factors = sigmoid(state["weights"])
        _, slopes = gates.slopes(feeds, 1 - factors[None])
        state = adam.vector_moved(state, (price - slopes[0]) * factors * (1 - factors), step + 1)
    return sigmoid(state["weights"])


def sigmoid(logits: Array) -> Array:
    """Return ``1 / (1 + exp(-x))``."""
    return np.asarray(1 / (1 + np.exp(-logits)))


class Gates:
    """Computes the outputs' squared error, relative to their variance, and its slope by every gate.

    ``means``, by :attr:`Read.key`, stand in for what is read, zero where there is none; with some, an affine function
    of the other channels read there is a second stand-in. Raises UnsupportedOpError at a node without a gradient, and
    where there is nothing to aim at.
    """

    def __init__(
        self, graph: Graph, channels: Channels, samples: Calibration, runner: Runner, means: Mapping[str, Array]
    ) -> None:
        samples.check_even("training gates")
        self.classes, self.batch, self._samples = channels.context.registry_size(), batch_size(graph, BATCH), samples
        copy = graph.copy()
        self.reads = reads(graph, channels, self.batch)
        self._places = [_Place(copy, read, means.get(read.key), bool(means)) for read in self.reads]
        shapes = concrete(copy, input_sizes(copy, self.batch))
        outputs = [aim.tensor for aim in aims(copy, shapes)]
        spreads = spread(graph, {}, outputs, samples.head(_MEASURED).batches(self.batch), runner)
        factors = {name: 1 / spreads[name].off_mean for name in outputs}
        weights = [name for place in self._places for name in place.gates]
        given = [name for place in self._places for name in place.affine]
        self._objective = OnnxObjective(Task(copy, shapes, graph, {}, factors, weights, self.batch, given), runner)

    def batches(self) -> Iterator[Feeds]:
        """Yield batches in order, again and again; samples that fill none are left out, and few are repeated."""
        lie, batches = self._samples.lie, self._samples.batches
        whole = [feeds for feeds in batches(self.batch) if length(feeds, lie) == self.batch]
        return cycle(whole or [repeated(next(batches(self.batch)), self.batch, lie)])

    def slopes(self, feeds: Feeds, gates: Array, copies: Mapping[str, Affine] | None = None) -> tuple[float, Array]:
        """Return the error of a batch, and its slopes, of the shape of ``gates``: (stand-ins, classes).

        ``copies``: the second stand-in of every read whose channels lie along one axis, by key.
        """
        given: dict[str, Array] = {}
        for place in self._places:
            given |= place.values(gates, copies or {})
        loss, found = self._objective.slopes(feeds, given)
        total = np.zeros(gates.shape)
        for place in self._places:
            place.add(total, found)
        total[:, 0] = 0.0  # what never goes
        return loss, total


class _Place:
    """The nodes that put gates over one read, and the constants that are fed to them."""

    def __init__(self, graph: Graph, read: Read, mean: Array | None, copied: bool) -> None:
        self._graph, self._read, self._node = graph, read, graph.node(read.node)
        self._source = self._node.inputs[read.operand]
        self._gates, self._affine = list[Tensor](), list[Tensor]()
        terms = [self._gated(self._stored("standin", np.zeros(read.atoms.shape) if mean is None else mean))]
        if copied and read.axis is not None:
            terms.append(self._gated(self._copy(read.axis)))
        self._node.set_input(read.operand, self._made("Sum", self._source, *terms))

    @property
    def gates(self) -> list[str]:
        """Names of the gates, one for every stand-in."""
        return [tensor.name for tensor in self._gates]

    @property
    def affine(self) -> list[str]:
        """Names of what makes the second stand-in, none where there is none."""
        return [tensor.name for tensor in self._affine]

    def values(self, gates: Array, copies: Mapping[str, Affine]) -> dict[str, Array]:
        """Return what is fed, by name."""
        found = {name: row[self._read.atoms].astype(np.float32) for name, row in zip(self.gates, gates, strict=False)}
        if self.affine:
            found |= dict(zip(self.affine, copies[self._read.key].arrays, strict=True))
        return found

    def add(self, total: Array, found: Mapping[str, Array]) -> None:
        """Add the slopes by its gates to those of their classes, (stand-ins, classes)."""
        for row, name in zip(total, self.gates, strict=False):
            np.add.at(row, self._read.atoms.ravel(), found[name].ravel().astype(np.float64))

    def _gated(self, standin: Tensor) -> Tensor:
        self._gates.append(self._stored("gate", np.zeros(self._read.atoms.shape)))
        return self._made("Mul", self._made("Sub", standin, self._source), self._gates[-1])

    def _copy(self, axis: int) -> Tensor:
        shape = self._read.shape
        count = shape[axis]
        self._affine = [self._stored("mix", np.zeros((count, count))), self._stored("rest", np.zeros((count, 1)))]
        flat = self._made("Reshape", self._source, self._sizes(prod(shape[:axis]), count, prod(shape[axis + 1 :])))
        mixed = self._made("Add", self._made("MatMul", self._affine[0], flat), self._affine[1])
        return self._made("Reshape", mixed, self._sizes(*shape))

    def _stored(self, what: str, values: Array) -> Tensor:
        return self._graph.constant(f"{self._read.key}_{what}", values.astype(np.float32))

    def _sizes(self, *sizes: int) -> Tensor:
        return self._graph.constant(f"{self._read.key}_sizes", np.array(sizes, np.int64))

    def _made(self, op: str, *inputs: Tensor) -> Tensor:
        out = self._graph.variable(f"{self._read.key}_{op}", np.float32)
        self._graph.insert(op, list(inputs), [out], before=self._node)
        return out
