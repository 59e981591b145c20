"""Levels within a budget that each of many steps has to keep, not their sum (arrays only).

Minimise ``sum_v error_v(level_v)`` subject to ``cost_s(levels) <= budget`` for every step s. With weights that add up
to 1 the weighted sum of all steps is at most the largest: choosing within it is a relaxation, solved as for any cost
that is a sum. The weights then move to the steps that the choice leaves too large, until none is: multiplicative updates of
the multipliers (Arora, Hazan, Kale, "The multiplicative weights update method", Theory of Computing 2012). Steps that
are within the budget at full width never count, so what only they hold keeps its levels.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..analysis.costs.steps import Steps
from .cost_model import CostModel, Floats, Ints, Term
from .greedy import Menu, allocate

_ROUNDS = 24
_POWER = 8.0
_TIGHTENING = 0.995  # of the aim, a round, from half of the rounds on: widths are whole numbers


@dataclass(frozen=True)
class LargestStep:
    """The cost of the dearest of ``steps``, over variables ``v`` (V,): widths in rounds kept."""

    steps: Steps

    @property
    def variables(self) -> int:
        """How many variables there are."""
        return self.steps.variables

    def __call__(self, kept: Ints | Floats) -> float:
        """Cost of ``kept`` (V,)."""
        return float(self.steps.at(kept).max(initial=0.0))

    def weighed(self, weights: Floats) -> CostModel:
        """Return the sum of all steps' costs, each times its weight (S,)."""
        return CostModel.of([Term.of(product, {}) for product in self.steps.weighed(weights)], self.variables)


def allocate_within(menus: Sequence[Menu], cost: LargestStep, budget: float) -> Floats | None:
    """Choose a level of each of V variables, (V,), with every step's cost at most ``budget``.

    Returns None when even the least levels cost more. Raises what :func:`allocate` raises.
    """
    least, most = (np.array([menu.levels[end] for menu in menus]) for end in (0, -1))
    if cost(most) <= budget:
        return most
    if cost(least) > budget:
        return None
    found, aim, whole = least, budget, cost.steps.at(most)
    weights = np.where(whole > budget, whole / whole.max(), 0.0)
    for number in range(_ROUNDS):
        weights /= weights.sum()
        tried = allocate(menus, cost.weighed(weights), aim)
        if tried is None:
            break
        if cost(tried) <= budget:
            found = tried
            break
        weights *= (cost.steps.at(tried) / budget) ** _POWER
        aim *= _TIGHTENING if 2 * number >= _ROUNDS else 1.0
    return _raised(menus, cost, budget, found)


def _raised(menus: Sequence[Menu], cost: LargestStep, budget: float, levels: Floats) -> Floats:
    """Raise one variable after another to the level that gains most error, as long as every step allows."""
    found = levels.copy()
    while True:
        best, gain = found, 0.0
        for number, menu in enumerate(menus):
            place = int(np.searchsorted(menu.levels, found[number]))
            for higher in range(place + 1, len(menu.levels)):
                tried = found.copy()
                tried[number] = menu.levels[higher]
                if cost(tried) > budget:
                    break
                if menu.errors[place] - menu.errors[higher] > gain:
                    best, gain = tried, float(menu.errors[place] - menu.errors[higher])
        if not gain:
            return found
        found = best
