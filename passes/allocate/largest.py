"""Levels within a budget that each of many steps has to keep, not their sum (arrays only).

Minimise ``sum_v error_v(level_v)`` subject to ``cost_s(levels) <= budget`` for every step s. From all levels whole,
variables are lowered one at a time, by the error lost a unit by which all steps together exceed the budget less, then
raised again where every step allows. Steps within the budget never count, so what only they hold keeps its levels.

That is short-sighted where variables share steps, so it starts from other levels too. With weights that add up to 1 the
weighted sum of all steps is at most the largest: choosing within it is a relaxation, solved as for any cost that is a
sum. The weights then move to the steps that the choice leaves too large, multiplicative updates of the multipliers
(Arora, Hazan, Kale, "The multiplicative weights update method", Theory of Computing 2012).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ..analysis.costs.steps import Steps
from .cost_model import CostModel, Floats, Ints, Term
from .greedy import Menu, allocate

_ROUNDS = 3
_POWER = 4.0
_MOVES = (1, 2, 4, 8)


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

    def excess(self, kept: Floats, budget: float) -> float:
        """Return by how much all steps together exceed the budget."""
        return float(np.maximum(self.steps.at(kept) - budget, 0.0).sum())

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
    starts = [most, *_relaxed(menus, cost, budget, most)]
    found = [_raised(menus, cost, budget, _lowered(menus, cost, budget, start)) for start in starts]
    return min(found, key=lambda levels: _error(menus, levels))


def _relaxed(menus: Sequence[Menu], cost: LargestStep, budget: float, most: Floats) -> Iterator[Floats]:
    """Choose within weighted sums of the steps, the weights moved after each choice."""
    whole = cost.steps.at(most)
    weights = np.where(whole > budget, whole, 0.0)
    for _ in range(_ROUNDS):
        weights /= weights.sum()
        levels = allocate(menus, cost.weighed(weights), budget)
        if levels is None:  # by rounding only
            return
        yield levels
        weights *= (cost.steps.at(levels) / budget) ** _POWER


def _lowered(menus: Sequence[Menu], cost: LargestStep, budget: float, levels: Floats) -> Floats:
    """Lower one variable at a time, by the error lost a unit of excess less, until there is none."""
    found, over = levels, cost.excess(levels, budget)
    while over > 0:
        tried = [(lower, over - cost.excess(lower, budget), loss) for lower, loss in _near(menus, found, -1)]
        less = [(loss / saved, number) for number, (_, saved, loss) in enumerate(tried) if saved > 0]
        if not less:  # what is over does not fall step by step
            return np.array([menu.levels[0] for menu in menus])
        found = tried[min(less)[1]][0]
        over = cost.excess(found, budget)
    return found


def _raised(menus: Sequence[Menu], cost: LargestStep, budget: float, levels: Floats) -> Floats:
    """Raise one variable at a time to the level that gains most error, as long as every step allows."""
    found = levels
    while True:
        fits = [(loss, n, higher) for n, (higher, loss) in enumerate(_near(menus, found, 1)) if cost(higher) <= budget]
        loss, _, higher = min(fits, key=lambda fit: fit[:2], default=(0.0, 0, found))
        if loss >= 0:
            return found
        found = higher


def _near(menus: Sequence[Menu], levels: Floats, sign: int) -> Iterator[tuple[Floats, float]]:
    """Move each variable alone by 1, 2, 4 and 8 levels; return the levels reached, (V,), and the error lost."""
    for number, menu in enumerate(menus):
        place = int(np.searchsorted(menu.levels, levels[number]))
        for move in _MOVES:
            to = place + sign * move
            if 0 <= to < len(menu.levels):
                moved = levels.copy()
                moved[number] = menu.levels[to]
                yield moved, float(menu.errors[to] - menu.errors[place])


def _error(menus: Sequence[Menu], levels: Floats) -> float:
    places = (int(np.searchsorted(menu.levels, level)) for menu, level in zip(menus, levels.tolist(), strict=True))
    return sum(float(menu.errors[place]) for menu, place in zip(menus, places, strict=True))
