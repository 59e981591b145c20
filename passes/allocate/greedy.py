"""Which of its levels each variable takes under a cost budget (arrays only).

A variable is a group's width, in rounds of channels kept, or the share of its cost that a layer keeps by taking another
form. Minimise ``sum_v error_v(level_v)`` subject to ``cost(levels) <= budget`` (see ``cost_model``): with all other
variables fixed the cost is a quadratic in each.

For a price ``mu`` of cost, coordinate descent on ``error + mu * cost`` finds levels on the lower convex envelope of
the curves; ``mu`` is bisected to the budget; what is left of the budget is filled greedily by error gained a unit of
cost, and single variables are lowered and the others refilled as long as that helps.

References: Everett, "Generalized Lagrange multiplier method", Operations Research 1963; Shoham, Gersho, "Efficient
bit allocation for an arbitrary set of quantizers", IEEE TASSP 1988. The bilinear cost and the refilling are ours.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from .cost_model import CostModel, Cursor, Floats, Ints

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
class Menu:
    """What one variable may be: ``levels`` (K,) ascending, the last is all of it, and the ``errors`` (K,) of each."""

    levels: Floats
    errors: Floats

    @staticmethod
    def of(curve: Floats, minimum: int = 0, step: int = 1) -> "Menu":
        """Return the widths of a group whose loss after removing 0, 1, ..., R rounds is ``curve`` (R + 1,).

        All R rounds stay, or a multiple of ``step`` that is at least ``minimum``. Raises ValueError on a step below 1.
        """
        if step < 1:
            raise ValueError("a step must be at least 1")
        width = np.arange(len(curve))
        chosen = width[((width % step == 0) & (width >= minimum)) | (width == width[-1])]
        return Menu(chosen.astype(np.float64), curve[len(curve) - 1 - chosen])


def allocate(menus: Sequence[Menu], cost: CostModel, budget: float) -> Floats | None:
    """Choose a level of each of V variables, (V,), with cost at most ``budget`` and as little error as found.

    Errors are made non-increasing in the level. Levels that would gain no error are not given back, so the cost can
    stay below the budget by more than a step. Deterministic; a heuristic, the problem is NP-hard.

    Returns None when even the least levels cost more than the budget. Raises ValueError on shapes that do not fit,
    a negative cost, or an error that is not finite. Time about ``BISECTIONS * SWEEPS * sum_v K_v``.
    """
    if not len(menus) == cost.variables:
        raise ValueError(f"{len(menus)} menus for a cost over {cost.variables} variables")
    if (cost.linear < 0).any() or (cost.quadratic < 0).any():
        raise ValueError("a cost must not fall when a variable grows")
    if not all(np.isfinite(menu.errors).all() for menu in menus):
        raise ValueError("an error curve holds NaN or Inf")
    table = _tabulate(menus, cost)
    if cost(table.kept(table.last)) <= budget:
        return table.kept(table.last)
    if cost(table.kept(np.zeros_like(table.last))) > budget:
        return None
    filled = sorted((_fill(table, budget, start) for start in _priced(table, budget)), key=table.error)
    best = min((_improve(table, budget, start) for start in filled[:IMPROVED]), key=table.error)
    return table.kept(best)


@dataclass(frozen=True)
class _Table:
    """Levels of each variable, ascending, as a padded table: ``levels`` and ``errors`` (V, K), ``last`` (V,).

    A choice is an index into each row, (V,). Padding has infinite error.
    """

    levels: Floats
    errors: Floats
    last: Ints
    cost: CostModel

    def kept(self, choice: Ints) -> Floats:
        """The levels chosen, (V,)."""
        return self.levels[np.arange(len(choice)), choice]

    def error(self, choice: Ints) -> float:
        """Summed error."""
        return float(self.errors[np.arange(len(choice)), choice].sum())


def _tabulate(menus: Sequence[Menu], cost: CostModel) -> _Table:
    last = np.array([len(menu.levels) - 1 for menu in menus], np.int64)
    levels = np.zeros((len(menus), int(last.max(initial=0)) + 1))
    errors = np.full(levels.shape, np.inf)
    for row, menu in enumerate(menus):
        levels[row, : len(menu.levels)] = menu.levels
        errors[row, : len(menu.levels)] = np.maximum.accumulate(menu.errors[::-1])[::-1]
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
    """Coordinate descent on ``error + price * cost``: each variable in turn takes its best level given the others."""
    choice = start.copy()
    cursor = Cursor(table.cost, table.kept(choice))
    for _ in range(SWEEPS):
        before = choice.copy()
        for place, levels in enumerate(table.levels):
            slope, bend = cursor.along(place)
            total = table.errors[place] + price * (slope + bend * levels) * levels
            choice[place] = total.argmin()
            cursor.move(place, levels[choice[place]])
        if (choice == before).all():
            break
    return choice


def _steps(table: _Table, choice: Ints, ladder: Ints) -> tuple[Ints, Floats, Floats]:
    """Move each variable alone by the J offsets of ``ladder``: levels reached, cost added, error removed, (V, J)."""
    rows, now = np.arange(len(choice))[:, None], choice[:, None]
    level = now + ladder
    level = np.where((level >= 0) & (level <= table.last[:, None]), level, now)
    kept, target = table.levels[rows, now], table.levels[rows, level]
    slope, bend = table.cost.slopes(kept[:, 0])
    extra = (slope[:, None] + bend[:, None] * (target + kept)) * (target - kept)
    return level, extra, table.errors[rows, now] - table.errors[rows, level]


def _fill(table: _Table, budget: float, choice: Ints) -> Ints:
    """Raise one variable at a time, by the error gained a unit of cost, as long as the budget allows."""
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
    """Lower one variable at a time, by the error lost a unit of cost saved, until the budget is met; not ``locked``."""
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
    """Lower one variable and fill the others, or raise one and drain the others, as long as the error falls enough."""
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
