"""What tuning is asked to do: a graph, the original that it should follow, and where, and the weights that may move."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ....ir.feeds import Feeds
from ....ir.graph import Array, Graph
from ....ir.runner import Runner
from ....ir.shapes import concrete, input_sizes
from ...analysis.channels.origins import Origins
from ...analysis.outputs.aims import aims
from .ends import block_ends
from .weights import tunable

_LEAST = 1e-12  # of the power of an inner tensor that is not zero throughout


@dataclass(frozen=True)
class Task:
    """Lessen the mean over a batch of the sum over ``factors`` of factor * |value - wanted|^2, by tensor name.

    Wanted is what ``original`` gives, less what is gone of it: ``kept``, by tensor name. ``weights`` name constants.
    """

    graph: Graph
    original: Graph
    kept: Origins
    factors: Mapping[str, float]
    weights: Sequence[str]
    batch: int


class Objective(Protocol):
    """Computes a task's loss and slopes, on the machine and in the kind of arrays that it likes.

    These know ``+ - * / @``, ``T``, ``reshape`` and ``sum`` as numpy's do.
    """

    def start(self) -> dict[str, Any]:
        """Return the weights as they are in the graph."""

    def slopes(self, feeds: Feeds, weights: Mapping[str, Any]) -> tuple[float, dict[str, Any]]:
        """Return the loss of a batch, and its slope by every weight that it depends on."""

    def array(self, values: Any) -> Array:
        """Return weights as numpy has them."""


def task(
    graph: Graph, original: Graph, kept: Origins, samples: Feeds, features: float, batch: int, runner: Runner
) -> Task:
    """Aim at outputs, each relative to its variance, and with the weight ``features`` at inner tensors, to their power.

    Inner tensors are the ends of blocks that both graphs have; together they weigh ``features``. ``samples`` are those
    that variances and powers are taken from.
    """
    shapes = concrete(graph, input_sizes(graph, batch))
    there = original.tensors().keys() - {name for name, origin in kept.items() if origin is None}
    outputs = [aim.tensor for aim in aims(graph, shapes) if aim.tensor in there]
    inner = [name for name in block_ends(graph) if name in there and name not in outputs]
    session = runner.session(original, outputs=[*outputs, *inner])
    values = left(session.run(samples), kept)
    factors = {name: 1 / (_variance(values[name]) * values[name][0].size) for name in outputs}
    factors |= {name: features / len(inner) / (_power(values[name]) * values[name][0].size) for name in inner}
    return Task(graph, original, kept, factors, [tensor.name for tensor in tunable(graph)], batch)


def left(values: Mapping[str, Array], kept: Origins) -> dict[str, Array]:
    """Return what is left of the original's values."""
    found = {}
    for name, value in values.items():
        origin = kept.get(name)
        found[name] = value if origin is None else np.ascontiguousarray(origin.restrict(value))
    return found


def _variance(values: Array) -> float:
    return max(float(values.var(dtype=np.float64)), _LEAST)


def _power(values: Array) -> float:
    return max(float((values.astype(np.float64) ** 2).mean()), _LEAST)
