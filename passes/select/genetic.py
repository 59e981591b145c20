"""``genetic``: sets of channels evolve until those that stay make up best for those that go."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from ...ir.graph import Array
from ..analysis.channels.readers import Reader
from .activation import activation
from .conditional import Part, compensated_curve, conditioned
from .criterion import FROM_MOMENTS, ByReaders
from .genetic_search import evolved
from .gram import contribution_gram
from .obs_swap import eliminated, in_stages

Search = Callable[[Array, Array, int, np.random.Generator], Array]
Score = Callable[[Sequence[Reader], tuple[int, int], np.random.Generator], tuple[Array, Array]]


def quarters(search: Search) -> Score:
    """Rank by a search for the set that is missed least: nested sets, so that any width can be asked for.

    A quarter of the channels is chosen from what the last ones have left, by the Gram matrix of all readers, and goes
    in the order of block OBS. The curve is the compensated loss (methods.md#loss). Without covariances:
    :func:`activation`.
    """

    def score(readers: Sequence[Reader], form: tuple[int, int], rng: np.random.Generator) -> tuple[Array, Array]:
        parts = conditioned(readers)
        if not parts:
            return activation(readers, form, rng)
        rounds = in_stages(parts, form, partial(_quarter, search, rng))
        return rounds, compensated_curve(parts, rounds)

    return score


def _quarter(search: Search, rng: np.random.Generator, parts: Sequence[Part], cell_of: Array, count: int) -> Array:
    gone = search(contribution_gram(parts, len(cell_of)), cell_of, count, rng)
    return eliminated(parts, np.where(cell_of < 0, 0, cell_of), ~gone)


GENETIC = ByReaders(
    "genetic",
    'Hu et al., "A novel channel pruning method for deep neural network compression", arXiv 1805.11394',
    FROM_MOMENTS,
    quarters(evolved),
)
