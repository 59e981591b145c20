"""``allocation=ucp``: streams keep one ratio, other layers what scores above a share of their mean (arrays only).

After UCP (Chang, Lu, Xue, Wei, Wei, arXiv 2010.01251), as its code has it: in a residual network of basic blocks one
count a stage, given by hand, of the channels with the largest scores; elsewhere a channel goes whose score is below
0.99 times the mean of its layer's. Ours: counts are one ratio for all stages, and what scores are held against is
found by bisection, so that a target is met. The paper names the groups, see :func:`.stages.cut_by_ucp`.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
import numpy.typing as npt

from .uniform import Ints, largest_ratio, nearest

Floats = npt.NDArray[np.float64]


def ucp(
    levels: Sequence[Ints],
    scores: Sequence[Floats],
    by_share: npt.NDArray[np.bool_],
    cost: Callable[[Ints], float],
    budget: float,
) -> Ints | None:
    """Choose the width of every group, (G,), as large as the budget allows; None when the least widths cost more.

    ``levels[g]``: allowed widths, descending from the whole. With a ratio ``r`` from 0 to 1, a group ``by_share`` (G,)
    takes the level nearest ``r`` times the whole; of another those rounds stay, up to the next level, whose
    ``scores[g]`` (rounds,) are above ``(1 - r) T`` times their mean, ``T`` the largest such score of all groups.
    """
    relative = [each / max(float(each.mean()), np.finfo(np.float64).tiny) for each in scores]
    widths = partial(_widths, levels, relative, by_share, max((float(each.max()) for each in relative), default=1.0))
    if cost(widths(0.0)) > budget:
        return None
    least = widths(largest_ratio(widths, cost, budget))
    scored = [group for group in np.flatnonzero(~by_share).tolist() if len(levels[group]) > 1]
    return _raised({group: levels[group] for group in scored}, relative, least, cost, budget)


def _raised(
    levels: Mapping[int, Ints], relative: Sequence[Floats], kept: Ints, cost: Callable[[Ints], float], budget: float
) -> Ints:
    """Take back what scores most of what has gone, a level at a time, as long as the budget allows: rounds of equal
    scores go all at once.
    """
    while lost := [group for group, level in levels.items() if kept[group] < level[0]]:
        group = max(lost, key=lambda one: float(relative[one][levels[one][0] - kept[one] - 1]))
        raised = kept.copy()
        raised[group] = levels[group][levels[group] > kept[group]].min()
        if cost(raised) > budget:
            break
        kept = raised
    return kept


def _widths(
    levels: Sequence[Ints], relative: Sequence[Floats], by_share: npt.NDArray[np.bool_], most: float, ratio: float
) -> Ints:
    above = [int((each > (1 - ratio) * most).sum()) for each in relative]
    scored = [level[level >= min(count, level[0])].min() for level, count in zip(levels, above, strict=True)]
    return np.where(by_share, nearest(levels, ratio), scored)
