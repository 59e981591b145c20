"""``genetic``: sets of channels evolve until those that stay make up best for those that go."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from ...ir.graph import Array
from ..analysis.channels.readers import Reader
from ..analysis.subsets.evolution import evolved
from ..analysis.subsets.sets import Losses, compensating, quadratic
from .activation import activation
from .conditional import compensated_curve, conditioned
from .criterion import FROM_MOMENTS, ByReaders, Ranks
from .finalists import in_quarters

_PAPER = 'Hu et al., "A novel channel pruning method for deep neural network compression", arXiv 1805.11394'


def genetic(
    fitness: Callable[[Array], Losses], readers: Sequence[Reader], form: tuple[int, int], rng: np.random.Generator
) -> Ranks:
    """Rank by a search for the sets that are missed least, by ``fitness`` of a Gram matrix; see :mod:`.finalists`.

    The curve is the compensated loss (methods.md#loss). Without covariances: :func:`activation`.
    """
    parts = conditioned(readers)
    if not parts:
        return activation(readers, form, rng)
    rounds = in_quarters(partial(evolved, fitness=fitness), parts, form, rng)
    return rounds, compensated_curve(parts, rounds)


GENETIC = ByReaders("genetic", _PAPER, FROM_MOMENTS, partial(genetic, compensating))
GENETIC_QUADRATIC = ByReaders("genetic-quadratic", _PAPER, FROM_MOMENTS, partial(genetic, quadratic))
