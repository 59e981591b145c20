"""A particle filter for the channels that are missed least (arrays only).

After Anwar, Hwang, Sung, ACM JETC 13(3) 2017, arXiv 1512.08571, where a particle is a pattern of what goes, weighted by
the error rate of the whole network with it. The full text was not found: numbers and schedule are ours, and so is the
error, which is that of the layers behind when what stays makes up by one factor a channel (see :mod:`.sets`).

Sparsity is annealed: patterns grow from few channels to all that are to go, and each time the better ones are drawn
again and perturbed. At full size the filter goes on, ever more strictly, until nothing is gained.
"""

from collections.abc import Callable

import numpy as np

from ....ir.graph import Array
from .sets import Losses, affordable, compensating, largest, ranked, swapped

PARTICLES = 128
SIZES = 8  # steps in which patterns grow
ROUNDS = 3  # draws at each size
PATIENCE = 12  # draws at full size that bring nothing before it ends
MOST = 200  # draws at full size
FEWEST = 12  # of these, however large the sets are
_COOLED = 0.9  # by what the temperature falls from one draw at full size to the next
_COLDEST = 1e-3


def themselves(gone: Array) -> Array:
    """Say that what goes with sets of units is these units."""
    return gone


def filtered(
    gram: Array,
    cell_of: Array,
    count: int,
    rng: np.random.Generator,
    pieces: Callable[[Array], Array] = themselves,
) -> Array:
    """Return sets of units that go, (sets, units) bool, ``count`` of every cell, all different, the best first.

    ``cell_of`` (units,) numbers the cells, -1 where a unit may not go. ``pieces`` tells which pieces go with sets of
    units, (sets, units) -> (sets, pieces), equally many with each; ``gram`` (pieces, pieces) is positive semi-definite.
    Cost at most ``PARTICLES n^3 / 3`` a draw for n pieces that go.
    """
    judged = compensating(gram)

    def cost(sets: Array) -> Array:
        return judged(pieces(sets))

    gone = np.zeros((PARTICLES, len(cell_of)), bool)
    for size in np.unique(np.linspace(0, count, SIZES + 1).round().astype(int))[1:]:
        gone = largest(2.0 * gone + rng.random(gone.shape), cell_of, int(size))
        for _ in range(ROUNDS):
            gone, _ = _moved(cost, gone, 1.0, cell_of, rng)
    least, idle, heat = np.inf, 0, 1.0
    for _ in range(affordable(pieces(gone), FEWEST, MOST)):
        gone, loss = _moved(cost, gone, heat, cell_of, rng)
        idle, least = (0, loss) if loss < least else (idle + 1, least)
        heat = max(_COLDEST, heat * _COOLED)
        if idle == PATIENCE:
            break
    return ranked(gone, cost(gone))


def _moved(cost: Losses, gone: Array, heat: float, cell_of: Array, rng: np.random.Generator) -> tuple[Array, float]:
    """Weight particles, draw as many again and perturb all but the best; return them and the loss of the best."""
    found = cost(gone)
    place = int(found.argmin())
    drawn = gone[systematic(weights(found, heat), rng)]
    moved = swapped(drawn, cell_of, rng)
    moved[0] = gone[place]
    return moved, float(found[place])


def weights(found: Array, heat: float) -> Array:
    """Return weights that sum to 1: ``exp(-(loss - least) / (heat * spread))``, spread the mean excess of all."""
    excess = found - found.min()
    spread = float(excess.mean()) * heat
    grown = np.exp(-excess / spread) if spread > 0 else np.ones(len(found))
    return np.asarray(grown / grown.sum())


def systematic(share: Array, rng: np.random.Generator) -> Array:
    """Draw as many places as there are, each about as often as its share says: one random start, equal steps."""
    steps = (rng.random() + np.arange(len(share))) / len(share)
    return np.minimum(np.searchsorted(np.cumsum(share), steps), len(share) - 1)
