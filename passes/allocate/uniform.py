"""``allocation=uniform``: one keep ratio for the whole network, the baseline to beat (arrays only).

Ours. All blocks of a stage keep equally many channels, which is the idea of UCP (Chang, Lu, Xue, Wei, Wei, arXiv
2010.01251); of which tensors differs: here the insides of blocks are cut, and residual streams only where these do not
suffice. What the paper's code cuts is :mod:`.ucp`.
"""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]

_BISECTIONS = 40


def uniform(
    levels: Sequence[Ints], stages: Sequence[int] | Ints, cost: Callable[[Ints], float], budget: float
) -> Ints | None:
    """Choose the width of every group, (G,), from the largest ratio ``r`` that the budget allows; None when none does.

    ``levels[g]``: allowed widths, descending from the whole; group g takes the one nearest ``r`` times the whole, of
    two the larger. What is left of the budget lets stage after stage, the most rounded down first, take one level more.
    ``stages`` (G,): groups of one number are treated alike, and must have the same levels.
    """
    whole = np.array([level[0] for level in levels])
    if cost(whole) <= budget:
        return whole
    if cost(nearest(levels, 0.0)) > budget:
        return None
    low = largest_ratio(partial(nearest, levels), cost, budget)
    kept = nearest(levels, low)
    rest = low - kept / np.maximum(whole, 1)
    number = np.asarray(stages)
    for stage in sorted(set(number.tolist()), key=lambda stage: -float(rest[number == stage].max())):
        raised = kept.copy()
        for group in np.flatnonzero(number == stage).tolist():
            raised[group] = levels[group][levels[group] > kept[group]].min(initial=whole[group])
        kept = raised if cost(raised) <= budget else kept
    return kept


def largest_ratio(widths: Callable[[float], Ints], cost: Callable[[Ints], float], budget: float) -> float:
    """Bisect the largest ratio from 0 to 1 whose ``widths`` cost at most ``budget``; those of 0 do."""
    low, high = 0.0, 1.0
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if cost(widths(middle)) <= budget else (low, middle)
    return low


def nearest(levels: Sequence[Ints], ratio: float) -> Ints:
    """Return of every group's ``levels``, descending, the one nearest ``ratio`` times the first, (G,)."""
    return np.array([level[np.abs(level - ratio * level[0]).argmin()] for level in levels])
