"""Latency of one or two models: interleaved runs, medians, and the ratio with its spread."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .feeds import Feeds
from .graph import Array
from .runner import Session

_WARM_UP = 3
_ROUNDS = (10, 10_000)


@dataclass(frozen=True)
class Latency:
    """Median milliseconds of each model, and quartiles of the last model's share of the first's, round by round."""

    milliseconds: tuple[float, ...]
    ratio: tuple[float, float, float]
    rounds: int


def latency(sessions: Sequence[Session], feeds: Sequence[Feeds], seconds: float) -> Latency:
    """Time sessions in turns, each on its feeds, for about ``seconds`` but at least ten rounds.

    Every second round goes backwards, so that no model always runs first. The ratio is the lower quartile, the median
    and the upper quartile over rounds: a slow moment of the machine hits both models of a round.
    """
    order = list(range(len(sessions)))
    for index in order:
        for _ in range(_WARM_UP):
            sessions[index].run(feeds[index])
    rows: list[list[float]] = []
    end = time.perf_counter() + seconds
    while len(rows) < _ROUNDS[0] or (time.perf_counter() < end and len(rows) < _ROUNDS[1]):
        row = [0.0] * len(sessions)
        for index in order:
            row[index] = _milliseconds(sessions[index], feeds[index])
        rows.append(row)
        order.reverse()
    times = np.array(rows)
    low, middle, high = np.quantile(times[:, -1] / times[:, 0], (0.25, 0.5, 0.75)).tolist()
    return Latency(tuple(np.median(times, axis=0).tolist()), (low, middle, high), len(rows))


def _milliseconds(session: Session, feeds: Mapping[str, Array]) -> float:
    start = time.perf_counter()
    session.run(feeds)
    return (time.perf_counter() - start) * 1e3
