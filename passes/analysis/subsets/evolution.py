"""A genetic search for the channels that are missed least (arrays only).

After Hu, Sun, Li, Wang, Gu, arXiv 1805.11394, who keep channels of one layer by a 0/1 vector that evolves, its fitness
the layer's squared error to second order. The full text was not found: operators, sizes and rates are ours, and so is
the fitness, in which the channels that stay make up for the others by one factor each.
"""

from collections.abc import Callable

import numpy as np

from ....ir.graph import Array
from .sets import Losses, affordable, compensating, largest, ranked, swapped

POPULATION = 64
GENERATIONS = 200
FEWEST = 20  # generations, however large the sets are
PATIENCE = 12  # generations that bring nothing before it ends
TOURNAMENT = 3  # sets, of which the best becomes a parent
ELITE = 2  # sets that live on


def evolved(
    gram: Array,
    cell_of: Array,
    count: int,
    rng: np.random.Generator,
    fitness: Callable[[Array], Losses] = compensating,
) -> Array:
    """Return sets of units that go, (sets, units) bool, ``count`` of every cell, all different, the best first.

    ``gram`` (units, units) positive semi-definite; ``cell_of`` (units,) numbers the cells, -1 where a unit may not go.
    Cost at most ``POPULATION n^3 / 3`` a generation for n units that go.
    """
    cost = fitness(gram)
    gone = largest(rng.random((POPULATION, len(gram))), cell_of, count)
    costs, idle = cost(gone), 0
    for _ in range(affordable(gone, FEWEST, GENERATIONS)):
        order = np.argsort(costs, kind="stable")
        gone, costs, best = gone[order], costs[order], costs[order[0]]
        children = swapped(crossed(gone[_parents(rng)], gone[_parents(rng)], cell_of, count, rng), cell_of, rng)
        gone = np.concatenate([gone[:ELITE], children])
        costs = np.concatenate([costs[:ELITE], cost(children)])
        idle = 0 if costs.min() < best else idle + 1
        if idle == PATIENCE:
            break
    return ranked(gone, costs)


def crossed(mothers: Array, fathers: Array, cell_of: Array, count: int, rng: np.random.Generator) -> Array:
    """Return children that lose what both parents lose, and of what one of them does as much as is due, by chance."""
    return largest(mothers.astype(float) + fathers + rng.random(mothers.shape), cell_of, count)


def _parents(rng: np.random.Generator) -> Array:
    """Draw the places of the winners of tournaments, in a population ordered by its losses."""
    return np.asarray(rng.integers(POPULATION, size=(POPULATION - ELITE, TOURNAMENT)).min(1))
