"""Supports by a particle filter (arrays only): which input maps take the first of two patterns.

A particle is a pattern of connectivity, as in Anwar, Hwang, Sung, "Structured pruning of deep convolutional neural
networks", ACM JETC 13(3) 2017 (arXiv 1512.08571): kernels that stay, or strided taps of every kernel. All particles are
judged by what the rows that stay can tell of the layer's output with one factor a piece; those that are left at last,
and the greedy choice, by what their least-squares fit explains. So the result explains no less than the greedy one.
"""

import numpy as np
from scipy.linalg import solve_triangular

from ...ir.graph import Array
from ..analysis.statistics.moments import Floats, Ints, factor
from ..analysis.subsets.particles import filtered, themselves
from ..analysis.subsets.sets import contributions
from .supports import CHOICE_RIDGE, Choice, Mask, choose, explained, solve_on

FINALISTS = 16
WIDEST = 512
BY_SEARCH = ", by particles"
_SEED = 0


def searched(cov: Floats, cross: Floats, choice: Choice, count: int) -> Mask:
    """Mark the ``count`` units (u,) that take ``first``; arguments and errors as of :func:`supports.choose`.

    Cost beside that: d^3 / 3, and n^3 / 3 for each of 128 particles and some 40 draws, n pieces that go; the greedy
    choice stands where these are more than ``WIDEST``.
    """
    greedy = choose(cov, cross, choice, count)
    units = len(greedy)
    if not 0 < count < units or (units if choice.second.size else units - count) > WIDEST:
        return greedy
    rng = np.random.default_rng(_SEED)
    pieces = _both if choice.second.size else themselves
    lost = filtered(_gram(cov, cross, choice), np.zeros(units, int), units - count, rng, pieces)
    marks = np.concatenate([greedy[None], ~lost[:FINALISTS]])
    told = [explained(cov, cross, rows_on(choice, each)) for each in marks]
    return np.asarray(marks[int(np.argmax(told))])


def rows_on(choice: Choice, marked: Mask) -> Ints:
    """Return all rows (n,), ascending, where the units ``marked`` (u,) take ``first`` and the others ``second``."""
    parts = choice.common, choice.first[marked], choice.second[~marked]
    return np.sort(np.concatenate([part.ravel() for part in parts]))


def _gram(cov: Floats, cross: Floats, choice: Choice) -> Floats:
    """Return the Gram matrix of what pieces contribute, given all common rows: first pieces, then second ones."""
    weight = solve_on(cov, cross, np.arange(len(cov)))
    always, pieces = choice.common.ravel(), [part for part in (choice.first, choice.second) if part.size]
    rows = np.concatenate([part.ravel() for part in pieces])
    left = cov[np.ix_(rows, rows)]
    if len(always):
        lower, _ = factor(cov[np.ix_(always, always)], CHOICE_RIDGE)
        across = solve_triangular(lower, cov[np.ix_(always, rows)], lower=True, check_finite=False)
        left = left - across.T @ across
    starts = np.cumsum([0, *(part.shape[1] for part in pieces for _ in part)])[:-1]
    return contributions(left, weight[rows], starts)


def _both(lost: Array) -> Array:
    """Say what goes with units that lose ``first``, (sets, u) -> (sets, 2 u): it, and of all others ``second``."""
    return np.concatenate([lost, ~lost], axis=1)
