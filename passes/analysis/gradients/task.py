"""What is asked of a descent: a graph, the original that it should follow, and where, and the weights that may move."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ....ir.feeds import Feeds, length, lying
from ....ir.graph import Array, Graph
from ....ir.runner import Runner
from ....ir.shapes import Shape
from ..channels.origins import Origins
from .arrays import Arrays

_LEAST = 1e-12  # of the power of an inner tensor that is not zero throughout


@dataclass(frozen=True)
class Task:
    """Lessen the mean over a batch of the sum over ``factors`` of factor * |value - wanted|^2, by tensor name.

    Wanted is what ``original`` gives, less what is gone of it: ``kept``, by tensor name. ``weights`` name constants, as
    do those ``given`` anew at every call, which have no slopes. ``shapes`` are those of ``graph`` for a batch.
    """

    graph: Graph
    shapes: Mapping[str, Shape]
    original: Graph
    kept: Origins
    factors: Mapping[str, float]
    weights: Sequence[str]
    batch: int
    given: Sequence[str] = ()


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


@dataclass
class Spread:
    """Sums over the samples so far of a tensor's entries and of their squares."""

    samples: int = 0
    entries: int = 0
    total: float = 0.0
    squares: float = 0.0

    def add(self, values: Array, samples: int) -> None:
        """Add those of some more samples."""
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


def spread(
    original: Graph, kept: Origins, names: Sequence[str], batches: Iterable[Feeds], runner: Runner
) -> dict[str, Spread]:
    """Return how much some tensors of the original, less what is gone of them, vary over the samples."""
    session, found = runner.session(original, outputs=names), {name: Spread() for name in names}
    for feeds in batches:
        for name, values in left(session.run(feeds), kept).items():
            found[name].add(values, length(feeds, lying(original)))
    return found


def left(values: Mapping[str, Array], kept: Origins) -> dict[str, Array]:
    """Return what is left of the original's values."""
    found = {}
    for name, value in values.items():
        origin = kept.get(name)
        found[name] = value if origin is None else np.ascontiguousarray(origin.restrict(value))
    return found
