"""``genetic``: sets of channels evolve until those that stay make up best for those that go."""

from collections.abc import Sequence

import numpy as np

from ...ir.graph import Array
from ..analysis.channels.readers import Reader
from ..analysis.subsets.evolution import evolved
from .activation import activation
from .conditional import compensated_curve, conditioned
from .criterion import FROM_MOMENTS, ByReaders
from .finalists import in_quarters


def genetic(readers: Sequence[Reader], form: tuple[int, int], rng: np.random.Generator) -> tuple[Array, Array]:
    """Rank by a search for the sets that are missed least; see :mod:`.finalists`.

    The curve is the compensated loss (methods.md#loss). Without covariances: :func:`activation`.
    """
    parts = conditioned(readers)
    if not parts:
        return activation(readers, form, rng)
    rounds = in_quarters(evolved, parts, form, rng)
    return rounds, compensated_curve(parts, rounds)


GENETIC = ByReaders(
    "genetic",
    'Hu et al., "A novel channel pruning method for deep neural network compression", arXiv 1805.11394',
    FROM_MOMENTS,
    genetic,
)
