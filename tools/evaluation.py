"""Inputs on which a model can be tried: calibration samples, or random ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from ..ir.errors import InvalidModelError
from ..ir.feeds import Calibration, Feeds, batch_size, fixed_batches, random_feeds
from ..ir.graph import Graph
from ..ir.runner import Session

_BATCH = 16
_RANDOM_BATCHES = 4


@dataclass(frozen=True)
class Samples:
    """Batches to run models on, readable many times; ``origin`` says where they come from.

    ``held_out``: they are like those that the model will meet, and no pass has seen them. ``judges``: figures that come
    from them are told; where passes were fitted to samples and none is left, nothing is known of others.
    """

    batches: Callable[[], Iterable[Feeds]]
    origin: str
    held_out: bool = False
    judges: bool = True


def from_data(graph: Graph, data: Calibration, origin: str) -> Samples:
    """Take data that no pass sees in batches that the model accepts."""
    return Samples(lambda: data.batches(batch_size(graph, _BATCH)), f"{data.samples} {origin}", held_out=True)


def at_random(graph: Graph, session: Session, seed: int) -> Samples:
    """Draw the same random inputs every time. Raises InvalidModelError when the model does not run on one."""
    one(graph, session, seed)

    def batches() -> Iterable[Feeds]:
        rng = np.random.default_rng(seed)
        return (random_feeds(graph, rng, _BATCH) for _ in range(_RANDOM_BATCHES))

    count = _RANDOM_BATCHES * batch_size(graph, _BATCH)
    return Samples(batches, f"{count} random inputs")


def first(graph: Graph, samples: Samples) -> Feeds:
    """Take one sample, or one batch where the model fixes its size."""
    feeds = next(iter(samples.batches()))
    return (
        feeds if fixed_batches(graph) else {name: array[:1] if array.ndim else array for name, array in feeds.items()}
    )


def one(graph: Graph, session: Session, seed: int, batch: int = 1) -> Feeds:
    """Draw the random input of one run, of ``batch`` samples. Raises InvalidModelError when the model does not run."""
    feeds = random_feeds(graph, np.random.default_rng(seed), batch)
    try:
        session.run(feeds)
    except InvalidModelError as error:
        hint = "give --data, or --input-shape"
        raise InvalidModelError("the model does not run on random inputs", why=error.why, hint=hint) from error
    return feeds
