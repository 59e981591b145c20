"""How long models take: who says so, and the ratio of two times with its confidence interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import numpy as np
from scipy.special import bdtr

from .graph import Array, Graph

FEWEST = 6
"""Values that have a 95 % interval: of fewer not even the extremes make one."""
PATIENCE = 20.0
"""Seconds for which a comparison goes on at most, where it cannot be told on which side of a limit a model is."""

_LEVEL = 0.95
_ROUNDED = 1e-9  # a share of a limit that is lost in arithmetic
_PLACEMENT = 0.01  # where a model happens to lie in memory shifts its time: two loads of one model differ by up to this


class Interval(NamedTuple):
    """A median between the ends of its 95 % confidence interval."""

    low: float
    middle: float
    high: float

    def within(self, limit: float) -> bool:
        """Whether all of it is at most a limit."""
        return self.high <= limit * (1 + _ROUNDED)

    def beyond(self, limit: float) -> bool:
        """Whether all of it is above a limit."""
        return self.low > limit * (1 + _ROUNDED)

    def undecided(self, limit: float) -> bool:
        """Whether a limit lies in it: more has to be measured."""
        return not self.within(limit) and not self.beyond(limit)


@dataclass(frozen=True)
class Comparison:
    """What one model takes, ``before``, and the share of that which another takes, between the ends of its interval.

    ``rounds``, shape (n,): the shares that were measured one after another, where measuring more says more.
    """

    before: float
    ratio: Interval
    rounds: Array | None = field(default=None, repr=False, compare=False)

    @staticmethod
    def exact(before: float, after: float) -> Comparison:
        """Compare two figures that are known."""
        return Comparison(before, Interval(*(after / before,) * 3))

    @property
    def after(self) -> float:
        """What the other model takes."""
        return self.before * self.ratio.middle

    @property
    def differs(self) -> bool:
        """Whether the whole interval is further from 1 than two loads of the same model may be, 1 %."""
        return self.ratio.low > 1 + _PLACEMENT or self.ratio.high < 1 - _PLACEMENT

    def joined(self, other: Comparison) -> Comparison:
        """Take the rounds of both together; the other comparison where one was measured in none."""
        if self.rounds is None or other.rounds is None:
            return other
        shares = np.concatenate([self.rounds, other.rounds])
        part = len(self.rounds) / len(shares)
        return Comparison(part * self.before + (1 - part) * other.before, median(shares), shares)


class Timer(Protocol):
    """Says what graphs take, wherever they are meant to run: predicted, measured, or asked of a device."""

    def times(self, graphs: Sequence[Graph]) -> list[float]:
        """Return what one run of each takes, in the unit of the quantity that is asked for: seconds of a latency.

        Raises InvalidModelError when one does not run there.
        """


class Device(Timer, Protocol):
    """Where models are meant to run. Its own times are measured, those of models given together in turns if it can."""

    def multiple(self) -> int:
        """Return the multiple of channels that pays there."""

    @property
    def separable(self) -> bool:
        """Whether the time of the whole shows what a change of one layer is worth; else time goes by MACs."""

    def layers(self, graph: Graph) -> Mapping[str, float]:
        """Return what each layer takes in a run of the whole, by node name; nothing where that cannot be told."""

    def compare(self, before: Graph, after: Graph) -> Comparison:
        """Measure two models side by side, the second one as a share of the first.

        It is asked again, and the rounds are taken together, where it says them and a limit lies in the interval.
        """

    def forecast(self, graph: Graph, others: Sequence[Graph]) -> Timer:
        """Return a timer that is quick to ask about a graph at other widths; ``others`` are some of those."""


@dataclass(frozen=True, eq=False)
class Latency:
    """Runs of models in turns: seconds, shape (rounds, 2, models), there and back, after ``warm_up`` runs of each.

    ``wall`` is what the clock on the wall tells, ``cpu`` what a thread that does all the work was busy for, None where
    several threads share it. Figures are of CPU time where that is known: other processes change it less.

    ``loads``: how many rounds there were each time that the models had been loaded anew. Where a model lies in memory
    and what else runs meanwhile shift all rounds of a load together, so with six loads these count, and not rounds.
    """

    wall: Array
    cpu: Array | None
    warm_up: int
    loads: tuple[int, ...] = ()

    @property
    def clock(self) -> str:
        """Which time the figures are of: ``wall`` or ``cpu``."""
        return "wall" if self.cpu is None else "cpu"

    @property
    def by_wall(self) -> Latency:
        """The figures of wall time."""
        return replace(self, cpu=None)

    @property
    def rounds(self) -> int:
        """How many rounds there were, in each of which every model ran twice."""
        return len(self.wall)

    @cached_property
    def p50(self) -> tuple[float, ...]:
        """The median milliseconds of one run of each model."""
        return self._quantile(0.5)

    @cached_property
    def p95(self) -> tuple[float, ...]:
        """The 95th percentile of the milliseconds of one run of each model."""
        return self._quantile(0.95)

    @cached_property
    def ratio(self) -> Interval:
        """The last model's share of the first one's time, the median over rounds or loads."""
        return median(self.shares)

    @property
    def shares(self) -> Array:
        """The last model's share of the first one's time in each round, or the median of each load: shape (n,)."""
        together = self._counted.sum(axis=1)
        return self._by_load(together[:, -1] / together[:, 0])

    @cached_property
    def last(self) -> Interval:
        """The seconds of one run of the last model, the median over rounds or loads."""
        return median(self._by_load(self._counted[:, :, -1].mean(axis=1)))

    @property
    def differs(self) -> bool:
        """Whether the whole interval is further from 1 than two loads of the same model may be, 1 %."""
        return self.ratio.low > 1 + _PLACEMENT or self.ratio.high < 1 - _PLACEMENT

    def joined(self, other: Latency) -> Latency:
        """Take the rounds of both together."""
        both = None if self.cpu is None or other.cpu is None else np.concatenate([self.cpu, other.cpu])
        loads = self.loads + other.loads
        return Latency(np.concatenate([self.wall, other.wall]), both, self.warm_up + other.warm_up, loads)

    def to_json(self) -> dict[str, Any]:
        """Return plain values: milliseconds, the ratio between the ends of its interval, and wall time beside it."""
        wall = self.by_wall
        return {
            **{name: getattr(self, name) for name in ("clock", "p50", "p95", "ratio", "rounds", "warm_up")},
            "wall": {name: getattr(wall, name) for name in ("p50", "p95", "ratio")},
        }

    @property
    def _counted(self) -> Array:
        return self.wall if self.cpu is None else self.cpu

    def _by_load(self, values: Array) -> Array:
        if len(self.loads) < FEWEST:
            return values
        return np.array([np.median(part) for part in np.split(values, np.cumsum(self.loads)[:-1])])

    def _quantile(self, share: float) -> tuple[float, ...]:
        return tuple((1e3 * np.quantile(self._counted, share, axis=(0, 1))).tolist())


def median(values: Array) -> Interval:
    """Return the median of independent values, shape (n,), with its exact interval: two of the sorted values.

    Whatever the distribution, the number of values below its median is binomial(n, 1/2); so the k-th smallest and the
    k-th largest enclose it with probability 1 - 2 P(fewer than k below). The largest k that leaves at least 95 % is
    taken: nothing is drawn at random. See David and Nagaraja, Order Statistics, section 7.1.

    Raises ValueError for fewer than six values.
    """
    count = len(values)
    cut = int(np.count_nonzero(bdtr(np.arange(count, dtype=float), count, 0.5) <= (1 - _LEVEL) / 2))
    if cut == 0:
        raise ValueError(f"{count} values are too few for a {_LEVEL:.0%} interval")
    ordered = np.sort(values)
    return Interval(float(ordered[cut - 1]), float(np.median(ordered)), float(ordered[-cut]))
