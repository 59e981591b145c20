"""Reuse factors against each other: the least interval within a budget of multipliers (arrays only).

A stream is as fast as its slowest layer, so at any interval each layer takes the fewest multipliers that keep up, and
their sum falls as the interval grows: bisection over the interval finds the exact optimum.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Frontier:
    """A layer's choices that no other beats in both: ``intervals`` (n,) ascend and ``multipliers`` (n,) descend.

    ``choices`` (n,): where each stood among all choices.
    """

    intervals: Ints
    multipliers: Ints
    choices: Ints

    @classmethod
    def of(cls, intervals: Ints, multipliers: Ints) -> "Frontier":
        """Sort out the choices, both (m,), m >= 1."""
        order = np.lexsort((multipliers, intervals))
        best = np.minimum.accumulate(multipliers[order])
        kept = order[np.r_[True, best[1:] < best[:-1]]]
        return cls(intervals[kept], multipliers[kept], kept)

    def within(self, interval: int) -> int:
        """Return the place of the fewest multipliers that keep up with an interval; -1 where none do."""
        return int(np.searchsorted(self.intervals, interval, side="right")) - 1


def least_interval(frontiers: Sequence[Frontier]) -> int:
    """Return the interval that no number of multipliers goes below."""
    return max(int(frontier.intervals[0]) for frontier in frontiers)


def least_multipliers(frontiers: Sequence[Frontier]) -> int:
    """Return the number of multipliers that no interval goes below."""
    return sum(int(frontier.multipliers[-1]) for frontier in frontiers)


def total(frontiers: Sequence[Frontier], interval: int) -> int:
    """Sum the fewest multipliers that keep up with an interval of at least :func:`least_interval`."""
    return sum(int(frontier.multipliers[frontier.within(interval)]) for frontier in frontiers)


def shortest(frontiers: Sequence[Frontier], budget: int) -> int:
    """Return the shortest interval that at most ``budget`` multipliers reach, at least :func:`least_multipliers`."""
    low, high = least_interval(frontiers), max(int(frontier.intervals[-1]) for frontier in frontiers)
    return low + bisect_left(range(low, high), True, key=lambda interval: total(frontiers, interval) <= budget)
