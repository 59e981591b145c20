"""``genetic``: sets of channels evolve until those that stay make up best for those that go."""

from functools import partial

from ..analysis.subsets.evolution import evolved
from ..analysis.subsets.sets import quadratic
from .criterion import FROM_MOMENTS, ByReaders
from .finalists import ranked

_PAPER = 'Hu et al., "A novel channel pruning method for deep neural network compression", arXiv 1805.11394'

GENETIC = ByReaders("genetic", _PAPER, FROM_MOMENTS, partial(ranked, evolved))
GENETIC_QUADRATIC = ByReaders(
    "genetic-quadratic", _PAPER, FROM_MOMENTS, partial(ranked, partial(evolved, fitness=quadratic))
)
