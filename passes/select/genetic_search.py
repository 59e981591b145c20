"""A genetic search for the channels that are missed least (arrays only).

After Hu, Sun, Li, Wang, Gu, arXiv 1805.11394, who keep channels of one layer by a 0/1 vector that evolves, its fitness
the layer's squared error to second order. The full text was not found: operators, sizes and rates are ours, and so is
the fitness, in which the channels that stay make up for the others by one factor each.

With ``Q`` the Gram matrix of the contributions (methods.md#gram) and ``P = inv(Q)``, the channels ``R`` that go cost
``1^T inv(P_RR) 1`` when the factors of the others are solved again: what these cannot tell of the sum of all.
"""

import numpy as np

from ...ir.graph import Array

POPULATION = 64
GENERATIONS = 200
FEWEST = 20  # generations, however large the sets are
PATIENCE = 12  # generations that bring nothing before it ends
TOURNAMENT = 3  # sets, of which the best becomes a parent
MUTATION = 0.5  # probability that a child swaps a channel
ELITE = 2  # sets that live on
WORK = 2e10  # multiplications that a search may take where that allows the fewest generations
_JITTER = 1e-9


def evolved(gram: Array, cell_of: Array, count: int, rng: np.random.Generator) -> Array:
    """Return sets of units that go, (sets, units) bool, ``count`` of every cell, all different, the best first.

    ``gram`` (units, units) positive semi-definite; ``cell_of`` (units,) numbers the cells, -1 where a unit may not go.
    Cost at most ``POPULATION n^3 / 3`` a generation for n units that go.
    """
    inverse = inverted(gram)
    gone = largest(rng.random((POPULATION, len(gram))), cell_of, count)
    costs, idle = losses(inverse, gone), 0
    for _ in range(affordable(gone, FEWEST, GENERATIONS)):
        order = np.argsort(costs, kind="stable")
        gone, costs, best = gone[order], costs[order], costs[order[0]]
        children = swapped(crossed(gone[_parents(rng)], gone[_parents(rng)], cell_of, count, rng), cell_of, rng)
        gone = np.concatenate([gone[:ELITE], children])
        costs = np.concatenate([costs[:ELITE], losses(inverse, children)])
        idle = 0 if costs.min() < best else idle + 1
        if idle == PATIENCE:
            break
    return ranked(gone, costs)


def ranked(gone: Array, costs: Array) -> Array:
    """Return the sets of ``gone`` (sets, units) that differ, by rising ``costs`` (sets,)."""
    _, places = np.unique(gone, axis=0, return_index=True)
    return np.asarray(gone[places[np.argsort(costs[places], kind="stable")]])


def affordable(gone: Array, fewest: int, most: int) -> int:
    """Return how many times all sets of ``gone`` (sets, units) may be judged within ``WORK``."""
    return min(most, max(fewest, int(WORK / (len(gone) * max(int(gone[0].sum()), 1) ** 3))))


def inverted(gram: Array) -> Array:
    """Return ``P``, of a Gram matrix that may be singular."""
    return np.asarray(np.linalg.inv(gram + _jitter(gram) * np.eye(len(gram))))


def largest(keys: Array, cell_of: Array, count: int) -> Array:
    """Mark the ``count`` units of every cell whose ``keys`` (sets, units) are largest, in each row."""
    order = np.lexsort((-keys, np.broadcast_to(cell_of, keys.shape)))
    cells = cell_of[order[0]]
    place = np.arange(len(cells)) - np.searchsorted(cells, cells)
    marked = np.zeros(keys.shape, bool)
    np.put_along_axis(marked, order, ((place < count) & (cells >= 0))[None], 1)
    return marked


def crossed(mothers: Array, fathers: Array, cell_of: Array, count: int, rng: np.random.Generator) -> Array:
    """Return children that lose what both parents lose, and of what one of them does as much as is due, by chance."""
    return largest(mothers.astype(float) + fathers + rng.random(mothers.shape), cell_of, count)


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


def _parents(rng: np.random.Generator) -> Array:
    """Draw the places of the winners of tournaments, in a population ordered by its losses."""
    return np.asarray(rng.integers(POPULATION, size=(POPULATION - ELITE, TOURNAMENT)).min(1))


def losses(inverse: Array, gone: Array) -> Array:
    """Return what every set of ``gone`` (sets, units) costs, (sets,): ``1^T inv(P_RR) 1``."""
    rows = np.nonzero(gone)[1].reshape(len(gone), -1)
    corners = inverse[rows[:, :, None], rows[:, None, :]]
    return np.asarray(np.linalg.solve(corners, np.ones((*rows.shape, 1))).sum((1, 2)))


def _jitter(gram: Array) -> float:
    return _JITTER * float(np.diagonal(gram).mean()) or 1.0
