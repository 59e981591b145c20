"""Sets of units, many at once: what they cost, and how they change (arrays only).

With ``Q`` the Gram matrix of the contributions (methods.md#gram) and ``P = inv(Q)``, the channels ``R`` that go cost
``1^T Q_RR 1`` where nothing makes up for them, and ``1^T inv(P_RR) 1`` when the factors of the others are solved again:
what these cannot tell of the sum of all.
"""

from collections.abc import Callable

import numpy as np

from ....ir.graph import Array

MUTATION = 0.5  # probability that a set swaps a unit
WORK = 2e10  # multiplications that a search may take where that allows the fewest rounds
_AT_ONCE = 2**24  # entries of matrices that are solved together
_JITTER = 1e-9


Losses = Callable[[Array], Array]
"""From sets that go, (sets, units) bool, equally many units in each: what each costs, (sets,)."""


def contributions(covariance: Array, weight: Array, starts: Array) -> Array:
    """Return the Gram matrix of what units contribute to ``x @ weight`` (methods.md#gram), (units, units).

    ``covariance`` (d, d) of ``x``, ``weight`` (d, m); unit i has the rows from ``starts[i]`` on. Cost d^2 m.
    """
    products = covariance * (weight @ weight.T)
    return np.asarray(np.add.reduceat(np.add.reduceat(products, starts, 0), starts, 1))


def quadratic(gram: Array) -> Losses:
    """Judge by the Gram matrix itself: nothing makes up for what goes."""
    return lambda gone: np.asarray(np.einsum("su,su->s", gone @ gram, gone))


def compensating(gram: Array) -> Losses:
    """Judge by what is left once every unit that stays has a new factor; the Gram matrix may be singular."""
    inverse = np.asarray(np.linalg.inv(gram + _jitter(gram) * np.eye(len(gram))))
    return lambda gone: losses(inverse, gone)


def losses(inverse: Array, gone: Array) -> Array:
    """Return what every set of ``gone`` (sets, units) costs, (sets,): ``1^T inv(P_RR) 1``; in bounded memory."""
    rows = np.nonzero(gone)[1].reshape(len(gone), -1)
    step = max(1, _AT_ONCE // max(rows.shape[1], 1) ** 2)
    found = []
    for some in (rows[at : at + step] for at in range(0, len(rows), step)):
        corners = inverse[some[:, :, None], some[:, None, :]]
        found.append(np.linalg.solve(corners, np.ones((*some.shape, 1))).sum((1, 2)))
    return np.concatenate(found)


def ranked(gone: Array, costs: Array) -> Array:
    """Return the sets of ``gone`` (sets, units) that differ, by rising ``costs`` (sets,)."""
    _, places = np.unique(gone, axis=0, return_index=True)
    return np.asarray(gone[places[np.argsort(costs[places], kind="stable")]])


def affordable(gone: Array, fewest: int, most: int) -> int:
    """Return how many times all sets of ``gone`` (sets, units) may be judged within ``WORK``."""
    return min(most, max(fewest, int(WORK / (len(gone) * max(int(gone[0].sum()), 1) ** 3))))


def largest(keys: Array, cell_of: Array, count: int) -> Array:
    """Mark the ``count`` units of every cell whose ``keys`` (sets, units) are largest, in each row."""
    order = np.lexsort((-keys, np.broadcast_to(cell_of, keys.shape)))
    cells = cell_of[order[0]]
    place = np.arange(len(cells)) - np.searchsorted(cells, cells)
    marked = np.zeros(keys.shape, bool)
    np.put_along_axis(marked, order, ((place < count) & (cells >= 0))[None], 1)
    return marked


def swapped(gone: Array, cell_of: Array, rng: np.random.Generator) -> Array:
    """Let some of the sets take one unit back and lose another of its cell for it, by chance."""
    keys = rng.random(gone.shape)
    back = np.where(gone, keys, -1.0).argmax(1)
    others = ~gone & (cell_of == cell_of[back][:, None])
    rows = np.flatnonzero(others.any(1) & gone.any(1) & (rng.random(len(gone)) < MUTATION))
    found = gone.copy()
    found[rows, back[rows]] = False
    found[rows, np.where(others, keys, -1.0).argmax(1)[rows]] = True
    return found


def _jitter(gram: Array) -> float:
    return _JITTER * float(np.diagonal(gram).mean()) or 1.0
