"""Inputs on which a model can be tried: calibration samples, or random ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

import numpy as np

from ..ir.budget import roomy_batch
from ..ir.errors import InvalidModelError
from ..ir.feeds import Axes, Calibration, Feeds, cut, fixed_batches, lying, random_feeds, suited
from ..ir.feeds import first as one_of
from ..ir.graph import Graph
from ..ir.runner import Session

_BATCH = 16
_RANDOM_BATCHES = 4


@dataclass(frozen=True)
class Samples:
    """Batches to run models on, readable many times; ``origin`` says where they come from.

    ``held_out``: they are like those that the model will meet, and no pass has seen them. ``judges``: figures that come
    from them are told; where passes were fitted to samples and none is left, nothing is known of others. ``lie``: how
    samples lie along inputs, as :attr:`.Calibration.lie`.
    """

    batches: Callable[[], Iterable[Feeds]]
    origin: str
    held_out: bool = False
    judges: bool = True
    lie: Axes = field(default_factory=dict)

    def count(self, batch: Feeds) -> int:
        """Return how many samples a batch holds; 1 where no input has an axis."""
        axes = {name: axis for name in batch if (axis := self.lie.get(name, 0)) is not None}
        return max((batch[name].shape[axis] for name, axis in axes.items() if batch[name].ndim > axis), default=1)


def singly(samples: Samples) -> Samples:
    """Return the same samples in batches of one."""

    def batches() -> Iterable[Feeds]:
        for batch in samples.batches():
            yield from (cut(batch, place, place + 1, samples.lie) for place in range(samples.count(batch)))

    return replace(samples, batches=batches)


def from_data(graph: Graph, data: Calibration, origin: str) -> Samples:
    """Take data that no pass sees in batches that the model accepts."""
    size = roomy_batch(suited(graph, data), _BATCH)
    return Samples(lambda: data.batches(size), f"{data.samples} {origin}", held_out=True, lie=data.lie)


def at_random(graph: Graph, session: Session, seed: int) -> Samples:
    """Draw the same random inputs every time. Raises InvalidModelError when the model does not run on one."""
    one(graph, session, seed)

    def batches() -> Iterable[Feeds]:
        rng = np.random.default_rng(seed)
        return (random_feeds(graph, rng, size) for _ in range(count))

    size = roomy_batch(graph, _BATCH)
    count = max(_RANDOM_BATCHES, _BATCH // size)
    return Samples(batches, f"{count * size} random inputs", lie=lying(graph))


def first(graph: Graph, samples: Samples) -> Feeds:
    """Take one sample, or one batch where the model fixes its size."""
    feeds = next(iter(samples.batches()))
    return feeds if fixed_batches(graph) else one_of(feeds, lying(graph))


def one(graph: Graph, session: Session, seed: int, batch: int = 1) -> Feeds:
    """Draw the random input of one run, of ``batch`` samples. Raises InvalidModelError when the model does not run."""
    feeds = random_feeds(graph, np.random.default_rng(seed), batch)
    try:
        session.run(feeds)
    except InvalidModelError as error:
        hint = "give --data, or --input-shape"
        raise InvalidModelError("the model does not run on random inputs", why=error.why, hint=hint) from error
    return feeds
