"""Which outputs share which input maps: kernel-wise sparsity that forms blocks (arrays only).

Outputs are put in groups of equal size, and each group reads as many input maps as any other; maps may serve several
groups. With ``I[o, c] = W_oc^T Sigma_cc W_oc`` the variance that kernel (o, c) adds on its own, the kept importance
``sum_g sum_(o in g) sum_(c in maps of g) I[o, c]`` is raised in turn over the maps (the largest sums) and the outputs
(a balanced assignment), from several starts. From there on, what least-squares fits explain takes the place of ``I``.

Reference: Anwar, Hwang, Sung, "Structured pruning of deep convolutional neural networks", ACM JETC 13(3) 2017
(arXiv 1512.08571): kernel-wise sparsity. Forming blocks, and both choices, are ours.
"""

import numpy as np

from ..analysis.statistics.moments import Floats, Ints
from .supports import Choice, Chooser, choose, explained_each, solve_on
from .taps import rows_of

_SWEEPS = 8
_ROUNDS = 2


def importance(cov: Floats, weight: Floats, taps: int) -> Floats:
    """Return ``I`` (m, c): the variance that each kernel adds on its own. ``cov`` (d, d), ``weight`` (d, m)."""
    maps = len(cov) // taps
    kernels = weight.reshape(maps, taps, -1)
    corners = np.einsum("cjck->cjk", cov.reshape(maps, taps, maps, taps))
    return np.asarray(np.einsum("cjm,cjm->mc", kernels, corners @ kernels))


def group_outputs(gain: Floats, groups: int, count: int, starts: int, rng: np.random.Generator) -> Ints:
    """Put outputs into groups that agree on ``count`` maps: group numbers (m,), each m / groups times.

    ``gain`` (m, c) is kept where an output's group reads a map. The best of ``starts`` runs counts, the first from the
    outputs as they lie. Groups are numbered by their first outputs. Cost about m^3 a sweep, less in practice.
    """
    begin = np.arange(len(gain)) * groups // len(gain)
    runs = [_alternate(gain, begin if not run else rng.permutation(begin), count) for run in range(starts)]
    return runs[int(np.argmax([value for value, _ in runs]))][1]


def _alternate(gain: Floats, group: Ints, count: int) -> tuple[float, Ints]:
    """Raise what is kept until it stays; return it and the groups."""
    kept = -np.inf
    for _ in range(_SWEEPS):
        sums = np.stack([gain[group == g].sum(0) for g in range(group.max() + 1)])
        maps = np.argsort(-sums, axis=1, kind="stable")[:, :count]
        value, better = _balanced(np.stack([gain[:, chosen].sum(1) for chosen in maps], axis=1))
        if value <= kept:
            break
        kept, group = value, better
    return kept, group


def _balanced(scores: Floats) -> tuple[float, Ints]:
    """Share the outputs out among groups of equal size by ``scores`` (m, groups); return their sum and the groups."""
    from scipy.optimize import linear_sum_assignment  # takes a quarter of a second

    slots = np.repeat(np.arange(scores.shape[1]), len(scores) // scores.shape[1])
    outputs, places = linear_sum_assignment(-scores[:, slots])
    found = slots[places]
    _, first, number = np.unique(found, return_index=True, return_inverse=True)
    return float(scores[outputs, found].sum()), np.argsort(np.argsort(first))[number]


def refine(
    cov: Floats, cross: Floats, group: Ints, count: int, taps: int, choose: Chooser = choose
) -> tuple[Ints, Ints]:
    """Choose each group's maps and share the outputs out again by what fits explain, a few times over.

    ``cov`` (d, d), ``cross`` (d, m), ``group`` (m,) to start from. Returns the groups and their maps (groups, count),
    ascending, of the best round. Raises NumericalError on NaN or Inf. Cost: :func:`supports.choose` for each group
    and round.
    """
    best, kept = -np.inf, (group, np.zeros((0, count), np.int64))
    for _ in range(_ROUNDS if group.any() else 1):
        maps = choose_maps(cov, cross, group, count, taps, choose)
        rows = [rows_of(chosen, np.arange(taps), taps).ravel() for chosen in maps]
        scores = np.stack([explained_each(cov, cross, each) for each in rows], axis=1)
        value = float(scores[np.arange(len(group)), group].sum())
        if value <= best:
            break
        best, kept = value, (group, maps)
        group = _balanced(scores)[1]
    return kept


def choose_maps(cov: Floats, cross: Floats, group: Ints, count: int, taps: int, choose: Chooser = choose) -> Ints:
    """Return the maps (groups, count) that each group of outputs reads, ascending, by what a fit explains."""
    every = rows_of(np.arange(len(cov) // taps), np.arange(taps), taps)
    choice = Choice(every[:, :0], every, every[:, :0])
    marks = [choose(cov, cross[:, group == g], choice, count) for g in range(group.max() + 1)]
    return np.stack([np.flatnonzero(mark) for mark in marks])


def solve_groups(cov: Floats, cross: Floats, group: Ints, maps: Ints, taps: int) -> Floats:
    """Return the best weights (d, m) in which the outputs of group ``g`` read ``maps[g]`` alone.

    Raises NumericalError on NaN or Inf. Cost of :func:`supports.solve_on` for each group.
    """
    weight = np.zeros_like(cross)
    for g, chosen in enumerate(maps):
        rows = rows_of(chosen, np.arange(taps), taps).ravel()
        weight[:, group == g] = solve_on(cov, cross[:, group == g], rows)
    return weight
