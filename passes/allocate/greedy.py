"""How many rounds of channels each group keeps under a cost budget (arrays only).

Minimise ``sum_g error_g(kept_g)`` subject to ``cost(kept) <= budget``, where the cost of a layer is bilinear in the
widths of the groups that make its input and its output, so in all

    cost(kept) = const + linear . kept + kept^T quadratic kept.

For a price ``mu`` of cost, coordinate descent on ``error + mu * cost`` finds widths on the lower convex envelope of
the curves; ``mu`` is bisected to the budget; what is left of the budget is filled greedily by error gained a unit of
cost, and single groups are lowered and the others refilled as long as that helps.

References: Everett, "Generalized Lagrange multiplier method", Operations Research 1963; Shoham, Gersho, "Efficient
bit allocation for an arbitrary set of quantizers", IEEE TASSP 1988. The bilinear cost and the refilling are ours.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

SWEEPS = 50
BISECTIONS = 40
OCTAVES = 60.0
STARTS = 4
MOVES = (-8, -4, -2, -1, 1, 2, 4, 8)
IMPROVED = 2
PASSES = 4
ENOUGH = 0.999
LADDER = np.unique(np.concatenate([np.arange(1, 17), np.geomspace(16, 2**20, 50).astype(np.int64)]))  # steps tried
NEARLY = 0.99  # a longer raise is taken when its gain a unit of cost is within this share of the best


@dataclass(frozen=True)
class Term:
    """One layer's cost: ``factor * (left_const + left . kept) * (right_const + right . kept)``.

    ``left`` (G,) input channels of the layer a kept round of each group, ``right`` (G,) output channels, or None for a
    layer whose cost is linear (depthwise, bias, normalisation). ``factor`` >= 0: MACs, bytes or seconds a pair.
    """

    factor: float
    left: Floats
    left_const: float = 0.0
    right: Floats | None = None
    right_const: float = 1.0


@dataclass(frozen=True)
class Cost:
    """``const + linear . kept + kept^T quadratic kept``; ``linear`` (G,), ``quadratic`` (G, G) symmetric, all >= 0."""

    const: float
    linear: Floats
    quadratic: Floats

    @classmethod
    def of(cls, terms: Sequence[Term], groups: int, const: float = 0.0) -> "Cost":
        """Add up the layers of a network with ``groups`` groups; ``const`` is the cost of all that cannot shrink."""
        linear, quadratic = np.zeros(groups), np.zeros((groups, groups))
        for term in terms:
            right = np.zeros(groups) if term.right is None else term.right
            const += term.factor * term.left_const * term.right_const
            linear += term.factor * (term.left_const * right + term.right_const * term.left)
            quadratic += term.factor * np.outer(term.left, right)
        return cls(const, linear, (quadratic + quadratic.T) / 2)

    def __call__(self, kept: Ints | Floats) -> float:
        """Cost of keeping ``kept`` (G,) rounds."""
        return float(self.const + self.linear @ kept + kept @ self.quadratic @ kept)


def allocate(
    curves: Sequence[Floats], cost: Cost, budget: float, minimum: Sequence[int] | Ints, step: Sequence[int] | Ints
) -> Ints | None:
    """Choose the rounds that each of G groups keeps, (G,), with cost at most ``budget`` and as little error as found.

    ``curves[g]`` (R_g + 1,): loss after removing 0, 1, ..., R_g rounds, made non-decreasing. A group keeps all R_g
    rounds, or a multiple of ``step[g]`` that is at least ``minimum[g]``. Rounds that would gain no error are not given
    back, so the cost can stay below the budget by more than a step. Deterministic; a heuristic, the problem is NP-hard.

    Returns None when even the least widths cost more than the budget. Raises ValueError on shapes that do not fit,
    a negative cost, a step below 1, or a curve that is not finite. Time about ``BISECTIONS * SWEEPS * sum_g R_g``.
    """
    groups = len(curves)
    if not len(minimum) == len(step) == len(cost.linear) == groups or any(size < 1 for size in step):
        raise ValueError(f"{groups} curves need as many minima, cost coefficients and steps of at least 1")
    if (cost.linear < 0).any() or (cost.quadratic < 0).any():
        raise ValueError("a cost must not fall when a group grows")
    if not all(np.isfinite(curve).all() for curve in curves):
        raise ValueError("an error curve holds NaN or Inf")
    table = _tabulate(curves, cost, minimum, step)
    if cost(table.kept(table.last)) <= budget:
        return table.kept(table.last).astype(np.int64)
    if cost(table.kept(np.zeros_like(table.last))) > budget:
        return None
    filled = sorted((_fill(table, budget, start) for start in _priced(table, budget)), key=table.error)
    best = min((_improve(table, budget, start) for start in filled[:IMPROVED]), key=table.error)
    return table.kept(best).astype(np.int64)


@dataclass(frozen=True)
class _Table:
    """Allowed widths of each group, ascending, as a padded table: ``levels`` and ``errors`` (G, K), ``last`` (G,).

    A choice is an index into each row, (G,). Padding has infinite error.
    """

    levels: Floats
    errors: Floats
    last: Ints
    cost: Cost

    def kept(self, choice: Ints) -> Floats:
        """Rounds kept, (G,)."""
        return self.levels[np.arange(len(choice)), choice]

    def error(self, choice: Ints) -> float:
        """Summed error."""
        return float(self.errors[np.arange(len(choice)), choice].sum())

    def slopes(self, kept: Floats) -> Floats:
        """``s`` (G,) such that group g at width k alone costs ``(s_g + quadratic_gg k) k``, the others as they are."""
        own = np.diagonal(self.cost.quadratic)
        return self.cost.linear + 2 * (self.cost.quadratic @ kept - own * kept)


def _tabulate(
    curves: Sequence[Floats], cost: Cost, minimum: Sequence[int] | Ints, step: Sequence[int] | Ints
) -> _Table:
    widths = [np.arange(len(curve)) for curve in curves]
    allowed = [
        width[((width % size == 0) & (width >= least)) | (width == width[-1])]
        for width, least, size in zip(widths, minimum, step, strict=True)
    ]
    last = np.array([len(width) - 1 for width in allowed], np.int64)
    levels = np.zeros((len(curves), int(last.max(initial=0)) + 1))
    errors = np.full(levels.shape, np.inf)
    for row, (curve, width) in enumerate(zip(curves, allowed, strict=True)):
        levels[row, : len(width)] = width
        errors[row, : len(width)] = np.maximum.accumulate(curve)[len(curve) - 1 - width]
    return _Table(levels, errors, last, cost)


def _priced(table: _Table, budget: float) -> list[Ints]:
    """Bisect the price of cost, in octaves; return the ``STARTS`` choices within the budget that have least error."""
    least = np.zeros_like(table.last)
    found = {least.tobytes(): least}
    unit = (table.error(least) or 1.0) / table.cost(table.kept(table.last))
    low, high = -OCTAVES, OCTAVES
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        price = unit * 2.0**middle
        runs = [_descend(table, price, start) for start in (table.last, least)]
        best = min(runs, key=lambda run: table.error(run) + price * table.cost(table.kept(run)))
        fits = table.cost(table.kept(best)) <= budget
        low, high = (low, middle) if fits else (middle, high)
        found |= {run.tobytes(): run for run in runs if table.cost(table.kept(run)) <= budget}
    return sorted(found.values(), key=table.error)[:STARTS]


def _descend(table: _Table, price: float, start: Ints) -> Ints:
    """Coordinate descent on ``error + price * cost``: each group in turn takes its best width given the others."""
    choice = start.copy()
    kept = table.kept(choice)
    linear, twice = table.cost.linear, 2 * table.cost.quadratic
    own = np.diagonal(table.cost.quadratic)
    for _ in range(SWEEPS):
        before = choice.copy()
        for group, levels in enumerate(table.levels):
            slope = linear[group] + twice[group] @ kept - 2 * own[group] * kept[group]
            total = table.errors[group] + price * (slope + own[group] * levels) * levels
            choice[group] = total.argmin()
            kept[group] = levels[choice[group]]
        if (choice == before).all():
            break
    return choice


def _steps(table: _Table, choice: Ints, ladder: Ints) -> tuple[Ints, Floats, Floats]:
    """Move each group alone by the J offsets of ``ladder``: levels reached, cost added, error removed, all (G, J)."""
    rows, now = np.arange(len(choice))[:, None], choice[:, None]
    level = now + ladder
    level = np.where((level >= 0) & (level <= table.last[:, None]), level, now)
    kept, target = table.levels[rows, now], table.levels[rows, level]
    own = np.diagonal(table.cost.quadratic)[:, None]
    extra = (table.slopes(kept[:, 0])[:, None] + own * (target + kept)) * (target - kept)
    return level, extra, table.errors[rows, now] - table.errors[rows, level]


def _fill(table: _Table, budget: float, choice: Ints) -> Ints:
    """Raise one group at a time, by the error gained a unit of cost, as long as the budget allows."""
    while True:
        level, extra, gain = _steps(table, choice, LADDER)
        fits = (gain > 0) & (extra <= budget - table.cost(table.kept(choice)))
        if not fits.any():
            return choice
        rate = np.divide(gain, extra, out=np.full(gain.shape, np.inf), where=extra > 0)
        rate = np.where(fits, rate, -1.0)
        group = int(rate.max(axis=1).argmax())
        raised = choice.copy()
        raised[group] = level[group, rate[group] >= NEARLY * rate[group].max()].max()
        if table.cost(table.kept(raised)) > budget:  # by rounding only
            return choice
        choice = raised


def _drain(table: _Table, budget: float, choice: Ints, locked: int) -> Ints:
    """Lower one group at a time, by the error lost a unit of cost saved, until the budget is met; not ``locked``."""
    while table.cost(table.kept(choice)) > budget:
        level, extra, gain = _steps(table, choice, -LADDER)
        rate = np.divide(gain, extra, out=np.full(gain.shape, np.inf), where=extra < 0)
        rate[locked] = np.inf
        group, move = np.unravel_index(rate.argmin(), rate.shape)
        if rate[group, move] == np.inf:
            break
        choice = choice.copy()
        choice[group] = level[group, move]
    return choice


def _improve(table: _Table, budget: float, choice: Ints) -> Ints:
    """Lower one group and fill the others, or raise one and drain the others, as long as the error falls enough."""
    for _ in range(PASSES):
        before = table.error(choice)
        for group, move in product(range(len(choice)), MOVES):
            tried = choice.copy()
            tried[group] += move
            if not 0 <= tried[group] <= table.last[group]:
                continue
            drained = _drain(table, budget, tried, group)
            if table.cost(table.kept(drained)) <= budget:
                choice = min(choice, _fill(table, budget, drained), key=table.error)
        if table.error(choice) > ENOUGH * before:
            break
    return choice
