"""Residual gates, trained within a budget: which channels go, how many of every group, and what stands in for each.

A unit stays, or goes into its mean, or into another channel: three scores compete, the largest decides in the forward
pass, and slopes go through their softmax (straight-through). The loss is the outputs' error plus ``price * cost``.
Scores are shifted after every step so that the cost is within its budget, and the price is the one that slopes balance
at.

References: Huang et al. (AFCP), see :mod:`.gates`; Bengio, Léonard, Courville, arXiv 1308.3432 (straight-through).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ....ir.feeds import Calibration, batch_size
from ....ir.graph import Array
from ....ir.runner import Runner
from ..channels.groups import Group
from ..channels.ranking import GroupRanking
from ..channels.readers import readers
from ..gradients.optimiser import Optimiser
from ..view import View
from .gates import BATCH, Gates
from .input_moments import InputMoments
from .reads import ReadMoments, copied, read_moments, reads
from .substitutes import substitution_costs

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

_STEPS = 100
_RATE = 0.05
_SPAN = 4.0  # scores of a group at the start, from the first to go to the last
_LEFT = 0.9  # of the price, in a step
_BISECTIONS = 30
_TINY = 1e-30
_LEAST = 0.01  # of the mean of what channels take: one that takes nothing would be free to go
_MEASURED = 256  # samples that moments are taken from


@dataclass(frozen=True)
class Goal:
    """``cost`` of the rounds that every group keeps, (G,), is to be at most ``budget``.

    Of the ``groups`` those in ``start`` may lose channels: at first as many rounds of an order as it says. The
    ``droppable`` may lose all.
    """

    groups: Sequence[Group]
    start: Mapping[str, tuple[GroupRanking, int]]
    cost: Callable[[Ints], float]
    budget: float
    droppable: frozenset[str] = frozenset()

    @property
    def free(self) -> list[tuple[int, Group]]:
        """The groups that may lose channels, with their numbers."""
        return [(number, group) for number, group in enumerate(self.groups) if group.name in self.start]

    def scores(self, classes: int) -> Array:
        """Return what classes start from, (classes,): above 0 for those that go at first, -inf for those that stay."""
        found = np.full(classes, -np.inf)
        for _, group in self.free:
            ranking, gone = self.start[group.name]
            places = gone - 0.5 - np.arange(group.width)
            found[ranking.order] = _SPAN * places[:, None] / group.width
        return found

    def gone(self, scores: Array) -> tuple[Bools, Ints]:
        """Return which classes go, (classes,), and the rounds that stay, (G,): of every cell equally many go."""
        off, kept = np.zeros(len(scores), bool), np.array([group.width for group in self.groups])
        for number, group in self.free:
            table = scores[group.cells]
            most = group.width - (group.name not in self.droppable)
            count = min(round(float((table > 0).sum(1).mean())), most)
            first = np.argsort(-table, axis=1, kind="stable")[:, :count]
            off[np.take_along_axis(group.cells, first, 1)] = True
            kept[number] -= count
        return off, kept

    def excess(self, scores: Array) -> float:
        """Return the least that scores have to rise by so that the cost is within its budget."""
        finite = scores[np.isfinite(scores)]
        low, high = -float(finite.max()) - 1, -float(finite.min()) + 1
        for _ in range(_BISECTIONS):
            middle = (low + high) / 2
            within = self.cost(self.gone(scores + middle)[1]) <= self.budget
            low, high = (low, middle) if within else (middle, high)
        return high

    def marginal(self, kept: Ints, classes: int) -> Array:
        """Return what the cost grows by with one class more, (classes,): by differences, so of staircases the slope.

        At least a hundredth of the mean.
        """
        found = np.zeros(classes)
        for number, group in self.free:
            around = max(int(kept[number]) - 1, 0), min(int(kept[number]) + 1, group.width)
            less, more = (self.cost(np.where(np.arange(len(kept)) == number, width, kept)) for width in around)
            found[group.cells] = max(more - less, 0.0) / (around[1] - around[0]) / len(group.cells)
        return np.maximum(found, _LEAST * float(found.sum()) / max(int(np.count_nonzero(found)), 1))


Costs = Mapping[str, tuple[Array, Array]]
"""Of groups by name, what units cost that go into their mean, (units,), and into each other one, (units, units)."""


def standin_costs(view: View, groups: Iterable[Group], moments: Mapping[str, InputMoments]) -> Costs:
    """Return :func:`.substitutes.substitution_costs` of every group, by the readers whose covariances are known."""
    weights: dict[str, Array] = {}
    found = {}
    for group in groups:
        reading = readers(view.graph, view.channels, group, view.layers, moments, weights)
        known = [reader for reader in reading if reader.cov is not None and reader.cov.ndim == 2]
        means, copies = substitution_costs(known, group.cells.size)
        found[group.name] = means, copies if known else np.full_like(copies, np.inf)
    return found


@dataclass(frozen=True)
class StandIns:
    """``moments`` of all reads, by key, and the ``costs`` of every free group."""

    moments: Mapping[str, ReadMoments]
    costs: Costs

    def partners(self, goal: Goal, off: Bools) -> Array:
        """Return which class each would go into, (classes,): the best of those that stay, -1 where there is none."""
        found = np.full(len(off), -1)
        for _, group in goal.free:
            classes = group.cells.ravel()
            copies = np.where(off[classes], np.inf, self.costs[group.name][1])
            found[classes] = np.where(np.isfinite(copies.min(1)), classes[copies.argmin(1)], -1)
        return found


def gate_costs(view: View, goal: Goal, costs: Costs, samples: Calibration, runner: Runner) -> Array:
    """Train gates on the channels of a graph; return what every class costs that goes, (classes,): see :func:`train`.

    Raises UnsupportedOpError at a node without a gradient.
    """
    found = reads(view.graph, view.channels, batch_size(view.graph, BATCH))
    batches = samples.head(_MEASURED).batches(batch_size(view.graph, BATCH))
    moments = read_moments(view.graph, found, batches, runner)
    means = {key: each.mean for key, each in moments.items()}
    return train(Gates(view.graph, view.channels, samples, runner, means), goal, StandIns(moments, costs))


def train(gates: Gates, goal: Goal, standins: StandIns) -> Array:
    """Return what every class costs that goes, (classes,), in units of the outputs' relative squared error.

    That is the price of what it takes, times the odds that it stays: within the budget, the choice that costs least is
    the one that gates have made. 0 for classes that may not go.
    """
    first = goal.scores(gates.classes)
    free, price, adam = np.isfinite(first), 0.0, Optimiser(0.0, _RATE)
    state = adam.start(np.concatenate([first[free], first[free]]))
    for step, feeds in zip(range(_STEPS), gates.batches(), strict=False):
        trained = state["weights"].reshape(2, -1)
        scores = _whole(trained, free)
        off, kept = goal.gone(scores.max(0))
        partners = standins.partners(goal, off)
        copies = {r.key: copied(r, standins.moments[r.key], partners) for r in gates.reads if r.axis is not None}
        chosen = (np.arange(2)[:, None] == scores.argmax(0)) & off
        _, slopes = gates.slopes(feeds, chosen.astype(np.float64), copies)
        marginal = goal.marginal(kept, gates.classes)[free]
        share = _softmax(trained)
        balanced = _balanced(slopes[:, free], marginal, share)
        price = balanced if step == 0 else _LEFT * price + (1 - _LEFT) * balanced
        slope = _through(share, slopes[:, free] - price * marginal)
        moved = adam.vector_moved(state, slope.ravel(), step + 1, 1 - step / _STEPS)
        excess = goal.excess(_whole(moved["weights"].reshape(2, -1), free).max(0))
        state = {**moved, "weights": moved["weights"] + excess}
    costs, last = np.zeros(gates.classes), state["weights"].reshape(2, -1).max(0)
    _, kept = goal.gone(_whole(last[None], free)[0])
    costs[free] = price * goal.marginal(kept, gates.classes)[free] * np.exp(-last)
    return costs


def _whole(scores: Array, free: Bools) -> Array:
    """Return scores of all classes, -inf for those that may not go."""
    found = np.full((len(scores), len(free)), -np.inf)
    found[:, free] = scores
    return found


def _softmax(scores: Array) -> Array:
    """Return the share of each of two ways to go, (2, n), beside staying, whose score is 0."""
    powers = np.exp(scores - np.maximum(scores.max(0), 0.0))
    return np.asarray(powers / (powers.sum(0) + np.exp(-np.maximum(scores.max(0), 0.0))))


def _through(share: Array, slopes: Array) -> Array:
    """Return slopes by scores, (2, n), from those by the ways to go."""
    return np.asarray(share * (slopes - (share * slopes).sum(0)))


def _balanced(slopes: Array, marginal: Array, share: Array) -> float:
    """Return the price at which slopes by undecided gates are in balance with the cost, by least squares; above 0."""
    ways = share / np.maximum(share.sum(0), 1e-12)
    weight = share.sum(0) * (1 - share.sum(0)) * marginal
    return max(float(weight @ (ways * slopes).sum(0)) / max(float(weight @ marginal), _TINY), _TINY)
