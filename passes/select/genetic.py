"""``genetic``: sets of channels evolve until those that stay make up best for those that go."""

from collections.abc import Sequence
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


def genetic(readers: Sequence[Reader], form: tuple[int, int], rng: np.random.Generator) -> tuple[Array, Array]:
    """A genetic search (Hu, Sun, Li, Wang, Gu, arXiv 1805.11394) for what goes in each quarter of the channels.

    Ours: the fitness, see :mod:`.genetic_search`; several readers, and nested sets, so that any width can be asked for:
    a quarter is chosen from what the last ones have left, and goes in the order of block OBS. The curve is the
    compensated loss (methods.md#loss). Without covariances: :func:`activation`.
    """
    parts = conditioned(readers)
    if not parts:
        return activation(readers, form, rng)
    rounds = in_stages(parts, form, partial(_quarter, rng))
    return rounds, compensated_curve(parts, rounds)


def _quarter(rng: np.random.Generator, parts: Sequence[Part], cell_of: Array, count: int) -> Array:
    gone = evolved(contribution_gram(parts, len(cell_of)), cell_of, count, rng)
    return eliminated(parts, np.where(cell_of < 0, 0, cell_of), ~gone)


GENETIC = ByReaders(
    "genetic",
    'Hu et al., "A novel channel pruning method for deep neural network compression", arXiv 1805.11394',
    FROM_MOMENTS,
    genetic,
)
