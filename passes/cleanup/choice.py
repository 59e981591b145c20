"""Which of the classes that may go can go together: equal counts in every block, something left everywhere."""

from collections.abc import Callable, Sequence
from functools import cache, partial

import numpy as np

from ...ir.graph import Array
from ..analysis.channels.groups import Channels
from ..base import Context


def choose(channels: Channels, sets: Array, needed: bool, multiple: Callable[[], int] = lambda: 1) -> Array:
    """Return which classes go: as many as the constraints of every group allow.

    Parameters
    ----------
    channels : the analysis.
    sets : int (class ids,), the set each class belongs to; -1 for classes that must stay.
    needed : whether one class of every set must stay.
    multiple : what is left of a group is a multiple of it, or all of the group; asked where something goes.

    Returns
    -------
    bool (class ids,). Every block that keeps equal counts loses equally many, and no block and no tensor is left
    empty.

    Notes
    -----
    Classes of one set that lie in the same blocks are interchangeable. How many of each such cell go is a small integer
    programme, solved exactly by HiGHS (Huangfu & Hall, Math. Program. Comput. 10, 2018); without blocks it is a count.
    """
    gone = np.zeros(len(sets), bool)
    owner = np.full(len(sets), -1)
    for number, group in enumerate(channels.groups):
        owner[group.cells] = number
    lonely = [*channels.floors, *(np.flatnonzero(sets == one) for one in np.unique(sets[sets >= 0]) if needed)]
    concerned = [(one, set(np.unique(owner[one]).tolist())) for one in lonely]
    for number, group in enumerate(channels.groups):
        members = np.unique(group.cells)
        if (sets[members] < 0).all():
            continue
        blocks = [block for block in channels.context.equal_counts if owner[block.flat[0]] == number]
        keep_one = [one for one, owners in concerned if number in owners and (gone[one] | (owner[one] == number)).all()]
        floors = [np.isin(members, one) for one in keep_one]
        for cell, count in _going(partial(_counts, members, sets[members], blocks, floors), len(members), multiple):
            gone[cell[:count]] = True
    return gone


_Counts = list[tuple[Array, int]]
"""Cells of interchangeable members, and how many of each go."""


def _going(counts: Callable[[int], _Counts], width: int, multiple: Callable[[], int]) -> _Counts:
    """Let as many go as can, of which so many stay that the rest of the width is a multiple, or whole."""
    found = counts(width)
    left = width - sum(count for _, count in found)
    while left < width and left % multiple():
        wanted = min(-(-left // multiple()) * multiple(), width)
        found = counts(width - wanted)
        left = max(width - sum(count for _, count in found), wanted)
    return found


def paying(multiple: int, context: Context) -> Callable[[], int]:
    """Return what says the multiple of channels that is meant: the machine, asked once, where it is 0."""
    return cache(lambda: multiple or context.device("latency").multiple())


def kept(channels: Channels, gone: Array) -> dict[str, Array]:
    """Return what :func:`passes.analysis.removal.remove` takes: the classes that stay, of groups that lose some."""
    touched = [group for group in channels.groups if gone[group.cells].any()]
    return {group.name: group.cells[~gone[group.cells]] for group in touched}


def _counts(members: Array, sets: Array, blocks: Sequence[Array], floors: Sequence[Array], most: int) -> _Counts:
    """Let as many go as can, ``most`` of all together. ``floors``: bool masks, one of each stays."""
    may = np.flatnonzero(sets >= 0)
    counts = [_multiplicity(block, members) for block in blocks]
    table = np.concatenate([sets[None], *counts, *(floor[None] for floor in floors)])[:, may]
    _, cell_of = np.unique(table, axis=1, return_inverse=True)
    cells = [may[cell_of.ravel() == number] for number in range(int(cell_of.max()) + 1)]
    first = [int(cell[0]) for cell in cells]
    limits = [(floor[first].astype(np.float64), int(floor.sum()) - 1) for floor in floors]
    limits.append((np.ones(len(cells)), most))
    equal = [(rows[:, first], block.shape[1] - 1) for rows, block in zip(counts, blocks, strict=True)]
    solution = _solve(np.asarray([len(cell) for cell in cells]), limits, equal)
    return [(members[cell], count) for cell, count in zip(cells, solution, strict=True)]


def _multiplicity(block: Array, members: Array) -> Array:
    """Return how often every member lies in every row of a block array, shape (rows, members)."""
    place = np.searchsorted(members, block)
    found = np.zeros((len(block), len(members)), np.int64)
    np.add.at(found, (np.arange(len(block))[:, None], place), 1)
    return found


def _solve(sizes: Array, limits: Sequence[tuple[Array, int]], equal: Sequence[tuple[Array, int]]) -> list[int]:
    """Maximise Σ n with ``use · n <= most`` for every limit, and in ``equal`` all rows alike and at most that."""
    from scipy.optimize import Bounds, LinearConstraint, milp  # takes a quarter of a second

    extra = len(equal)
    rows = [np.zeros((0, len(sizes) + extra))]
    rows += [np.concatenate([use, np.zeros(extra)])[None] for use, _ in limits]
    upper = [np.asarray([float(most) for _, most in limits])]
    for number, (counts, _) in enumerate(equal):
        shared = np.zeros((len(counts), extra))
        shared[:, number] = -1
        rows.append(np.unique(np.concatenate([counts, shared], 1), axis=0))
        upper.append(np.zeros(len(rows[-1])))
    most = np.concatenate(upper)
    least = np.where(np.arange(len(most)) < len(limits), -np.inf, 0.0)
    bounds = Bounds(0, np.concatenate([sizes, [top for _, top in equal]]))
    aim = np.concatenate([-np.ones(len(sizes)), np.zeros(extra)])
    table = LinearConstraint(np.concatenate(rows), least, most)
    found = milp(aim, constraints=table, bounds=bounds, integrality=np.ones(len(aim), np.int64))
    if found.x is None:
        return [0] * len(sizes)
    return [int(count) for count in np.round(found.x[: len(sizes)])]
