"""What tuning is asked to do: a graph, the original that it should follow, and where, and the weights that may move."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ....ir.errors import UnsupportedOpError
from ....ir.feeds import Calibration, Feeds, length
from ....ir.graph import Array, Graph
from ....ir.runner import Runner
from ....ir.shapes import Shape, concrete, input_sizes
from ...analysis.channels.origins import Origins, shape_after
from ...analysis.outputs.aims import aims
from .arrays import Arrays
from .ends import block_ends
from .weights import tunable

_LEAST = 1e-12  # of the power of an inner tensor that is not zero throughout


@dataclass(frozen=True)
class Task:
    """Lessen the mean over a batch of the sum over ``factors`` of factor * |value - wanted|^2, by tensor name.

    Wanted is what ``original`` gives, less what is gone of it: ``kept``, by tensor name. ``weights`` name constants.
    ``shapes`` are those of ``graph`` for a batch.
    """

    graph: Graph
    shapes: Mapping[str, Shape]
    original: Graph
    kept: Origins
    factors: Mapping[str, float]
    weights: Sequence[str]
    batch: int


class Differentiator(Protocol):
    """Makes objectives of tasks."""

    def check(self, graph: Graph, shapes: Mapping[str, Shape], weights: Sequence[str], aimed: Sequence[str]) -> None:
        """Raise UnsupportedOpError that names a node without a gradient on the way to what is aimed at."""

    def __call__(self, task: Task, runner: Runner, /) -> Objective:
        """Return what computes the task's slopes."""


class Objective(Protocol):
    """Computes a task's loss and slopes, on the machine and in the kind of arrays that it likes."""

    @property
    def arrays(self) -> Arrays:
        """The library of arrays."""

    def start(self) -> dict[str, Any]:
        """Return the weights as they are in the graph."""

    def slopes(self, feeds: Feeds, weights: Mapping[str, Any]) -> tuple[float, dict[str, Any]]:
        """Return the loss of a batch, and its slope by every weight that it depends on."""

    def whole(self, weights: Mapping[str, Any]) -> dict[str, Any]:
        """Return the graph's weights that those being moved stand for."""


def task(
    graph: Graph, original: Graph, kept: Origins, samples: Calibration, features: float, batch: int, runner: Runner
) -> Task:
    """Aim at outputs, each relative to its variance, and with the weight ``features`` at inner tensors, to their power.

    Inner tensors are the ends of blocks that both graphs have; together they weigh ``features``. ``samples`` are those
    that variances and powers are taken from. Raises UnsupportedOpError where there is nothing to aim at.
    """
    shapes, whole = (concrete(each, input_sizes(each, batch)) for each in (graph, original))
    there = {name for name in shapes.keys() & whole.keys() if _tells(name, shapes[name], whole[name], kept)}
    outputs = [aim.tensor for aim in aims(graph, shapes) if aim.tensor in there]
    if not outputs:
        raise UnsupportedOpError("no output can be held against the original's")
    inner = [name for name in block_ends(graph) if name in there and name not in outputs]
    spread = _spread(original, kept, [*outputs, *inner], samples.batches(batch), runner)
    factors = {name: 1 / spread[name].off_mean for name in outputs}
    factors |= {name: features / len(inner) / spread[name].power for name in inner}
    return Task(graph, shapes, original, kept, factors, [tensor.name for tensor in tunable(graph)], batch)


def _tells(name: str, shape: Shape, whole: Shape, kept: Origins) -> bool:
    """Whether it is known which indices of a tensor are left, and they are not of samples too."""
    origin = kept.get(name)
    if origin is None:
        return name not in kept and shape == whole
    return origin.axis > 0 and whole[origin.axis] == origin.whole and shape == shape_after(whole, origin)


@dataclass
class _Spread:
    """Sums over the samples so far of a tensor's entries and of their squares."""

    samples: int = 0
    entries: int = 0
    total: float = 0.0
    squares: float = 0.0

    def add(self, values: Array, samples: int) -> None:
        wide = values.astype(np.float64)
        self.samples, self.entries = self.samples + samples, self.entries + values.size
        self.total, self.squares = self.total + float(wide.sum()), self.squares + float((wide**2).sum())

    @property
    def power(self) -> float:
        """The squares of a sample."""
        return max(self.squares / self.samples, _LEAST)

    @property
    def off_mean(self) -> float:
        """The squared distances of a sample to the mean of all entries."""
        return max((self.squares - self.total**2 / self.entries) / self.samples, _LEAST)


def _spread(
    original: Graph, kept: Origins, names: Sequence[str], batches: Iterable[Feeds], runner: Runner
) -> dict[str, _Spread]:
    session, found = runner.session(original, outputs=names), {name: _Spread() for name in names}
    for feeds in batches:
        for name, values in left(session.run(feeds), kept).items():
            found[name].add(values, length(feeds))
    return found


def left(values: Mapping[str, Array], kept: Origins) -> dict[str, Array]:
    """Return what is left of the original's values."""
    found = {}
    for name, value in values.items():
        origin = kept.get(name)
        found[name] = value if origin is None else np.ascontiguousarray(origin.restrict(value))
    return found
