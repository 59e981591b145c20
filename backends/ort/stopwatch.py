"""One stopwatch: sessions run in turns, so that a slow moment of the machine hits all of them."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Protocol, TypeVar

import numpy as np

from ...ir.feeds import Feeds
from ...ir.timing import FEWEST, Latency

Clock = Callable[[], float]
Times = tuple[float, float]
Timed = Callable[[], Times]
Item = TypeVar("Item")

_MOST_ROUNDS = 10_000
_WINDOW = 3
_WARM_UP_RUNS = 10 * _WINDOW
_WARM_UP_SHARE = 0.5
_SETTLED = 0.02
_TURNS, _MOST = 10, 200
_COARSE = sys.platform == "win32"  # there a thread's time moves once in 15 ms


class Runs(Protocol):
    """What can be run on feeds, whatever it returns."""

    def run(self, feeds: Feeds, /) -> object:
        """Run once."""


def thread_clock(threads: int) -> Clock | None:
    """Return the CPU time of the calling thread, if that is all ``threads`` there are; None where it says too little.

    A session of one thread runs in the thread that calls it.
    """
    return time.thread_time if threads == 1 and not _COARSE else None


def latency(
    sessions: Sequence[Runs],
    feeds: Sequence[Feeds],
    seconds: float,
    *,
    least: int = FEWEST,
    most: int = _MOST_ROUNDS,
    clock: Clock = time.perf_counter,
    busy: Clock | None = None,
) -> Latency:
    """Time sessions in turns, each on its feeds, for about ``seconds``, ``least`` rounds or more and at most ``most``.

    A round runs all models forwards, then backwards, and every second one begins with the last model: each is as often
    first, and as often follows itself, as the others, and a slow moment of the machine hits all of them. So the ratio
    is taken round by round, of the two runs together. The warm-up ends when no model gets faster any more, or has taken
    half of ``seconds``. ``clock`` tells seconds, and ``busy`` those in which the caller had a core.
    """
    counted = busy or clock
    timers = [
        _timer(partial(session.run, given), clock, counted) for session, given in zip(sessions, feeds, strict=True)
    ]
    warm_up = _warm_up(timers, clock, clock() + _WARM_UP_SHARE * seconds)
    rounds: list[list[list[Times]]] = []
    end = clock() + seconds
    while len(rounds) < least or (clock() < end and len(rounds) < most):
        rounds.append(_round(timers, len(rounds)))
    times = np.array(rounds)
    return Latency(times[..., 0], None if busy is None else times[..., 1], warm_up, (len(rounds),))


def quantiles(
    runs: Sequence[Callable[[], object]], seconds: float, quantile: float, busy: Clock | None = None
) -> list[float]:
    """Return a quantile of the seconds each run takes once its model is warm, ``seconds`` for each, ten runs at least.

    In ten turns every model runs several times on end, once before that counts: the model before has left the caches
    to itself. ``busy`` as in :func:`latency`.
    """
    clock = time.perf_counter
    timers = [_timer(run, clock, busy or clock) for run in runs]
    alone = [min(timer()[1] for _ in range(3)) for timer in timers]
    counts = [-(-int(np.clip(seconds / one, _TURNS, _MOST)) // _TURNS) for one in alone]
    rows: list[list[float]] = [[] for _ in runs]
    for turn in range(_TURNS):
        for i in _in_turn(range(len(runs)), turn):
            runs[i]()
            rows[i] += [timers[i]()[1] for _ in range(counts[i])]
    return [float(np.quantile(row, quantile)) for row in rows]


def _warm_up(timers: Sequence[Timed], clock: Clock, end: float) -> int:
    """Run in turns until no model's median gets faster from window to window, and return how often each ran."""
    last = np.full(len(timers), np.inf)
    runs = 0
    while runs < _WARM_UP_RUNS:
        now = np.median([[timer()[1] for timer in timers] for _ in range(_WINDOW)], axis=0)
        runs += _WINDOW
        if (now >= (1 - _SETTLED) * last).all() or clock() >= end:
            break
        last = now
    return runs


def _round(timers: Sequence[Timed], turn: int) -> list[list[Times]]:
    """Return the seconds of each model on the way there and on the way back."""
    there = [timer() for timer in _in_turn(timers, turn)]
    back = [timer() for timer in _in_turn(timers, turn + 1)]
    return [list(_in_turn(there, turn)), list(_in_turn(back, turn + 1))]


def _in_turn(items: Sequence[Item], turn: int) -> Iterable[Item]:
    """Go forwards and backwards by turns."""
    return reversed(items) if turn % 2 else items


def _timer(run: Callable[[], object], clock: Clock, busy: Clock) -> Timed:
    """Return what runs once and says how many seconds that took by either clock."""

    def timed() -> Times:
        start, begun = clock(), busy()
        run()
        spent = busy() - begun
        return clock() - start, spent

    return timed
