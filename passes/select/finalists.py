"""Orders from a search over sets: cheap losses lead the search, dearer ones decide between the sets that it ends with.

A quarter of the channels is chosen at a time from what the last ones have left, so that any width can be asked for.
"""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from scipy.linalg import cho_solve, solve_triangular

from ...ir.graph import Array
from ..analysis.channels.readers import Reader
from ..analysis.statistics.moments import factor
from .activation import activation
from .conditional import Part, compensated_curve, conditioned
from .criterion import Ranks
from .gram import contribution_gram
from .obs_swap import eliminated, in_stages

Search = Callable[[Array, Array, int, np.random.Generator], Array]
"""From a Gram matrix, the cells of units, -1 for one that may not go, a count and chance: sets (n, units) bool of what
goes, so many of every cell, the best first."""
Network = Callable[[Array], float]
"""From the units that stay, (units,) bool: how far the outputs of the whole network move."""

EXACTLY = 16  # sets whose compensated loss is computed
ON_NETWORK = 4  # sets that the network runs with, at most
ALIKE = 1.02  # times the least compensated loss: what such sets differ by is left to the network


def ranked(
    search: Search,
    readers: Sequence[Reader],
    form: tuple[int, int],
    rng: np.random.Generator,
    network: Network | None = None,
) -> Ranks:
    """Rank by a search for the sets that are missed least; see :func:`in_quarters`.

    The curve is the compensated loss (methods.md#loss). Without covariances: :func:`activation`.
    """
    parts = conditioned(readers)
    if not parts:
        return activation(readers, form, rng)
    rounds = in_quarters(search, parts, form, rng, network)
    return rounds, compensated_curve(parts, rounds)


def in_quarters(
    search: Search,
    parts: Sequence[Part],
    form: tuple[int, int],
    rng: np.random.Generator,
    network: Network | None = None,
) -> Array:
    """Return rounds (width, cells) of units; a quarter goes in the order of block OBS.

    Of what a search ends with, and of what greedy elimination would choose, the least compensated loss
    (methods.md#loss) wins, or with ``network`` the least divergence among those that lose about as little.
    """
    return in_stages(parts, form, partial(_quarter, search, rng, network))


def _quarter(
    search: Search, rng: np.random.Generator, network: Network | None, parts: Sequence[Part], cell_of: Array, count: int
) -> Array:
    free, cells = cell_of >= 0, np.where(cell_of < 0, 0, cell_of)
    greedy = np.isin(np.arange(len(cells)), eliminated(parts, cells, ~free)[: count * (int(cells.max(initial=0)) + 1)])
    found = search(contribution_gram(parts, len(cells)), cell_of, count, rng)[:EXACTLY]
    sets = np.unique(np.concatenate([greedy[None], found]), axis=0)
    lost = compensated_losses(parts, sets)
    best = sets[np.argsort(lost, kind="stable")][: np.count_nonzero(lost <= ALIKE * lost.min())][:ON_NETWORK]
    place = 0 if network is None or len(best) < 2 else int(np.argmin([network(free & ~gone) for gone in best]))
    return eliminated(parts, cells, ~best[place])


def compensated_losses(parts: Sequence[Part], sets: Array) -> Array:
    """Return the loss of each of ``sets`` (n, units) bool that go, (n,), the rest making up for it.

    ``tr(W_R^T inv(P_RR) W_R)`` with ``P`` the inverse covariance, summed over parts (methods.md#cost). Cost d^3 a part
    and r^3 / 3 a set of r rows.
    """
    total = np.zeros(len(sets))
    for part in parts:
        lower, _ = factor(part.covariance, 0.0)
        inverse = cho_solve((lower, True), np.eye(len(lower)), check_finite=False)
        for place, gone in enumerate(sets):
            rows = np.flatnonzero(gone[part.unit])
            if not rows.size:
                continue
            corner, _ = factor(inverse[np.ix_(rows, rows)], 0.0)
            total[place] += np.square(solve_triangular(corner, part.weight[rows], lower=True)).sum()
    return total
