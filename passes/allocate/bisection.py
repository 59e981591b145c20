"""``allocation=bisect``: layer after layer, as much as a growing share of the allowed loss lets go (arrays only).

After CaP (Xie, Fu, Tian, Zhou, Chen, arXiv 2108.13728): layers in forward order, layer i of L may bring the whole
network's loss to at most ``i / L`` of the allowed one, its sparsity is bisected in a fixed number of probes. The paper
lets labels judge, with the final accuracy given; here the divergence from the original's outputs does, and what is
allowed in the end is found by bisection, so that a cost target is met.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]

_DECADES = 4.0  # of loss below that of the least widths that the outer bisection looks at


@dataclass(frozen=True)
class WidthSearch:
    """``levels[g]``: a group's allowed widths, descending from the whole; ``loss`` and ``cost`` of widths (G,).

    ``probes``: bisection steps a group; ``step_limit``: a probe takes at most this share of a group more than the
    largest removal that has passed, but always at least one level.
    """

    levels: Sequence[Ints]
    loss: Callable[[Ints], float]
    cost: Callable[[Ints], float]
    probes: int = 5
    step_limit: float = 0.5

    def best(self, budget: float, rounds: int) -> Ints | None:
        """Bisect the allowed loss in ``rounds`` steps; return the widths at the least that meets the budget.

        They cost at most ``budget``: see :func:`fitted`. None when even the least widths cost more.
        """
        least = np.array([level[-1] for level in self.levels], np.int64)
        if self.cost(least) > budget:
            return None
        worst = float(np.log10(max(self.loss(least), 1e-12)))
        low, high = worst - _DECADES, worst
        within: Ints | None = None
        beyond = np.array([level[0] for level in self.levels], np.int64)
        for _ in range(rounds):
            middle = (low + high) / 2
            kept = self.forward(10**middle, budget)
            if self.cost(kept) <= budget:
                within, high = kept, middle
            else:
                beyond, low = kept, middle
        return fitted(self.levels, beyond if within is None else within, self.cost, budget)

    def forward(self, allowed: float, budget: float) -> Ints:
        """Prune group after group until the budget is met, or cannot be met any more; return the widths."""
        kept = np.array([level[0] for level in self.levels], np.int64)
        least = np.array([level[-1] for level in self.levels], np.int64)
        free = [group for group, level in enumerate(self.levels) if len(level) > 1]
        for place, group in enumerate(free, 1):
            self._lower(kept, group, allowed * place / len(free))
            to_come = np.arange(len(kept)) > group
            if self.cost(kept) <= budget or self.cost(np.where(to_come, least, kept)) > budget:
                break
        return kept

    def _lower(self, kept: Ints, group: int, bound: float) -> None:
        """Bisect one group's level, in place: the lowest seen whose loss is within the bound."""
        level = self.levels[group]
        reach = self.step_limit * level[0]
        low, high = 0, len(level) - 1
        for _ in range(self.probes):
            if low == high:
                break
            near = int((level >= level[low] - reach).sum()) - 1
            middle = min((low + high + 1) // 2, max(near, low + 1))
            tried = kept.copy()
            tried[group] = level[middle]
            low, high = (middle, high) if self.loss(tried) <= bound else (low, middle - 1)
        kept[group] = level[low]


def fitted(levels: Sequence[Ints], kept: Ints, cost: Callable[[Ints], float], budget: float) -> Ints | None:
    """Lower groups from the last on until the budget is met, then raise them from the last on as far as it allows.

    Returns None when even the least widths cost more than the budget.
    """
    widths = kept.copy()
    for group in reversed(range(len(widths))):
        for level in levels[group][levels[group] < widths[group]].tolist():
            if cost(widths) <= budget:
                break
            widths[group] = level
    if cost(widths) > budget:
        return None
    for group in reversed(range(len(widths))):
        for level in levels[group][levels[group] > widths[group]].tolist():
            raised = widths.copy()
            raised[group] = level
            if cost(raised) <= budget:
                widths = raised
                break
    return widths
