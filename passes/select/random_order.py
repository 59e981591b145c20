"""``random``: the floor that any criterion has to beat."""

from collections.abc import Sequence

import numpy as np

from ...ir.graph import Array
from ..analysis.channels.readers import Reader
from .criterion import ByReaders


def random_order(_readers: Sequence[Reader], form: tuple[int, int], rng: np.random.Generator) -> tuple[Array, Array]:
    """A uniformly random order within each cell; every unit costs the same share of 1."""
    cells, width = form
    rounds = rng.permuted(np.arange(cells * width).reshape(cells, width), axis=1).T
    return rounds, np.linspace(0.0, 1.0, width + 1)


RANDOM = ByReaders(
    "random", 'Mittal et al., "Recovering from random pruning", WACV 2018, arXiv 1801.10447', frozenset(), random_order
)
