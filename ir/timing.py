"""How long models take: who says so, and the ratio of two times with its confidence interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from scipy.special import bdtr

from .graph import Array, Graph

_LEVEL = 0.95
_PLACEMENT = 0.01  # where a model happens to lie in memory shifts its time: two loads of one model differ by up to this


class Interval(NamedTuple):
    """A median between the ends of its 95 % confidence interval."""

    low: float
    middle: float
    high: float


@dataclass(frozen=True)
class Comparison:
    """What one model takes, ``before``, and the share of that which another takes, between the ends of its interval."""

    before: float
    ratio: Interval

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
        """Measure two models side by side, the second one as a share of the first."""

    def forecast(self, graph: Graph, others: Sequence[Graph]) -> Timer:
        """Return a timer that is quick to ask about a graph at other widths; ``others`` are some of those."""


@dataclass(frozen=True)
class Latency:
    """Milliseconds one run of each model takes, and the last model's share of the first one's time.

    ``p50`` is the median and ``p95`` the 95th percentile, a figure each model. ``ratio`` is the median over
    ``rounds``, in each of which every model ran twice, after ``warm_up`` runs that do not count.
    """

    p50: tuple[float, ...]
    p95: tuple[float, ...]
    ratio: Interval
    rounds: int
    warm_up: int

    @property
    def differs(self) -> bool:
        """Whether the whole interval is further from 1 than two loads of the same model may be, 1 %."""
        return self.ratio.low > 1 + _PLACEMENT or self.ratio.high < 1 - _PLACEMENT


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
