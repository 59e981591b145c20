"""``allocation=policy``: a small learned policy that answers any target (arrays only).

Liu, Guo, Guo, Chen and Chen, Conditional automated channel pruning for deep neural networks, arXiv 2009.09724. Groups
are visited in order; from a state of 14 figures, the target among them, the policy says what share of its channels a
group loses, and the action is clamped so that the target stays within reach. One policy is trained for all targets.

Ours: the reward is the summed error of the groups' curves instead of accuracy, so that an episode costs no run of the
network, and an evolution strategy (Salimans et al., arXiv 1703.03864) stands in for DDPG.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .cost_model import CostModel, Floats, Ints

HIDDEN = 24
STATIC = 9
_FEATURES = 14
WEIGHTS = (_FEATURES + 2) * HIDDEN + 1
_MOST = 0.9  # of its channels is what a group loses at most by choice
_STEEPEST = 5.0
_PAIRS, _TARGETS, _GENERATIONS = 32, 8, 1000
_NOISE, _RATE = 0.1, 0.05
_ROUNDING = 1e-9
_FIRST, _SECOND = 0.9, 0.999  # decays of Adam's moments


@dataclass(frozen=True)
class Course:
    """What an episode passes: ``features`` (G, 9) of the groups, each between 0 and 1; ``levels``, the widths allowed,
    ascending; ``curves[g]`` (width + 1,): the error after 0, 1, … rounds; and the ``cost`` over widths.
    """

    features: Floats
    levels: Sequence[Ints]
    curves: Sequence[Floats]
    cost: CostModel

    @cached_property
    def whole(self) -> Floats:
        """All channels, (G,)."""
        return np.array([level[-1] for level in self.levels], np.float64)

    @cached_property
    def least(self) -> Floats:
        """The smallest widths, (G,)."""
        return np.array([level[0] for level in self.levels], np.float64)

    @cached_property
    def lowest(self) -> float:
        """The share of the cost that is left at the smallest widths."""
        return self.cost(self.least) / self.cost(self.whole)

    def errors(self, kept: Floats) -> Floats:
        """Return the summed error of widths (B, G), (B,)."""
        total = np.zeros(len(kept))
        for curve, widths in zip(self.curves, kept.T, strict=True):
            total += curve[len(curve) - 1 - widths.astype(np.int64)]
        return total

    def walked(self, weights: Floats, targets: Floats) -> Floats:
        """Let policies with ``weights`` (B, 409) meet ``targets`` (B,), shares of the cost; return widths (B, G).

        Every target must be at least :attr:`lowest`.
        """
        walk = _Walk(self, targets)
        action = np.zeros(len(targets))
        for place in range(len(self.levels)):
            factor = np.exp(_output(weights, walk.state(place, action)))
            action = walk.step(place, np.minimum(factor * (1 - np.sqrt(targets)), _MOST))
        return walk.kept


class _Walk:
    """Episodes side by side: groups behind ``place`` are whole in ``kept``, and at their least in ``low``."""

    def __init__(self, course: Course, targets: Floats) -> None:
        self.course, self.targets = course, targets
        self.total = course.cost(course.whole)
        self.budgets = targets * self.total
        self.kept, self.low = np.tile(course.whole, (len(targets), 1)), np.tile(course.least, (len(targets), 1))
        self.now, self.lowest = np.full(len(targets), self.total), np.full(len(targets), course.cost(course.least))

    def state(self, place: int, action: Floats) -> Floats:
        """Return (B, 14): the target, the group's features, and the cost of the group, gone, left, and last action."""
        own = self._along(place, self.kept, self.course.whole[place])
        features = np.tile(self.course.features[place], (len(self.targets), 1))
        moving = np.stack([own, self.total - self.now, self.now - self.lowest], 1) / self.total
        return np.concatenate([self.targets[:, None], features, moving, action[:, None]], 1)

    def step(self, place: int, share: Floats) -> Floats:
        """Take a share off a group, more where the target asks for it; return what was really taken, (B,)."""
        levels, whole = self.course.levels[place], self.course.whole[place]
        wanted = np.searchsorted((levels[1:] + levels[:-1]) / 2, (1 - share) * whole)
        most = np.searchsorted(levels, np.floor(self._reachable(place) + _ROUNDING), side="right") - 1
        width = levels[np.maximum(np.minimum(wanted, most), 0)].astype(np.float64)
        for table, cost in ((self.kept, self.now), (self.low, self.lowest)):
            cost += self._along(place, table, width) - self._along(place, table, table[:, place])
            table[:, place] = width
        return np.asarray(1 - width / whole)

    def _reachable(self, place: int) -> Floats:
        """Return the largest width, (B,), with which the budget is met if all groups behind keep their least."""
        slope, bend = self._slope(place, self.low), float(self.course.cost.quadratic[place, place])
        room = self.budgets - self.lowest + self._along(place, self.low, self.low[:, place])
        root = np.sqrt(np.maximum(slope**2 + 4 * bend * room, 0))
        with np.errstate(divide="ignore", invalid="ignore"):
            found = 2 * room / (slope + root)  # of slope k + bend k^2 = room, without cancellation
        return np.where(slope + root > 0, found, np.inf)

    def _slope(self, place: int, widths: Floats) -> Floats:
        cost = self.course.cost
        coupled = 2 * (widths @ cost.quadratic[place] - cost.quadratic[place, place] * widths[:, place])
        return np.asarray(cost.linear[place] + coupled)

    def _along(self, place: int, widths: Floats, width: Floats | float) -> Floats:
        """Return what depends on one group's width, (B,)."""
        return np.asarray((self._slope(place, widths) + self.course.cost.quadratic[place, place] * width) * width)


def _output(weights: Floats, state: Floats) -> Floats:
    """Return the network's answer between -5 and 5, (B,): one hidden layer of tanh."""
    edge = _FEATURES * HIDDEN
    first = weights[:, :edge].reshape(-1, _FEATURES, HIDDEN)
    bias, second, last = weights[:, edge : edge + HIDDEN], weights[:, edge + HIDDEN : -1], weights[:, -1]
    hidden = np.tanh(np.einsum("bf,bfh->bh", state, first) + bias)
    return np.asarray(_STEEPEST * np.tanh(((hidden * second).sum(1) + last) / _STEEPEST))


def trained(course: Course, rng: np.random.Generator, generations: int = _GENERATIONS) -> Floats:
    """Train a policy on targets drawn anew each generation; return its weights, (409,).

    Of mirrored samples around the weights, those count more that lose less at the same target: by ranks, so that low
    targets, which lose much, weigh no more than high ones.
    """
    weights = rng.standard_normal(WEIGHTS) / np.sqrt(_FEATURES)
    weights[-1 - HIDDEN :] = 0.0
    first, second = np.zeros(WEIGHTS), np.zeros(WEIGHTS)
    for number in range(1, generations + 1):
        half = rng.standard_normal((_PAIRS, WEIGHTS))
        noise = np.concatenate([half, -half])
        places = (np.arange(_TARGETS) + rng.random(_TARGETS)) / _TARGETS
        gain = _utilities(course, weights + _NOISE * noise, course.lowest + (1 - course.lowest) * places)
        slope = gain @ noise / (len(noise) * _NOISE)
        first, second = _FIRST * first + (1 - _FIRST) * slope, _SECOND * second + (1 - _SECOND) * slope**2
        scale = float(np.sqrt(1 - _SECOND**number) / (1 - _FIRST**number))
        weights = weights + _RATE * scale * first / (np.sqrt(second) + 1e-8)
    return np.asarray(weights)


def _utilities(course: Course, weights: Floats, targets: Floats) -> Floats:
    """Return how good policies (P, 409) are, (P,): their mean rank over targets, between -1/2 and 1/2."""
    count = len(weights)
    rows = np.repeat(weights, len(targets), axis=0)
    errors = course.errors(course.walked(rows, np.tile(targets, count))).reshape(count, -1)
    ranks = np.argsort(np.argsort(-errors, axis=0, kind="stable"), axis=0, kind="stable")
    gain: Floats = (ranks / (count - 1) - 0.5).mean(1)
    return gain
