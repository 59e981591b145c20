"""The criteria by name: each ranks the units of one group from its readers."""

from collections.abc import Callable, Sequence

import numpy as np

from ...ir.graph import Array
from ..analysis.channels.readers import Reader
from .activation import activation
from .compensation import compensation
from .geometric_median import geometric_median
from .interpolative import interpolative
from .lasso import lasso
from .magnitude import magnitude, magnitude_l1
from .obs import obs
from .obs_swap import obs_swap
from .pivoted_qr import pivoted_qr
from .random_order import random_order
from .zero_or_similar import zero_or_similar

Criterion = Callable[[Sequence[Reader], tuple[int, int], np.random.Generator], tuple[Array, Array]]
"""From a group's readers, its form (cells, width) and a source of chance to rounds (width, cells) of unit numbers, the
first goes first, one unit of each cell in every round, and the (width + 1,) loss from 0."""

CRITERIA: dict[str, Criterion] = {
    "activation": activation,
    "compensation": compensation,
    "geometric-median": geometric_median,
    "interpolative": interpolative,
    "lasso": lasso,
    "magnitude": magnitude,
    "magnitude-l1": magnitude_l1,
    "obs": obs,
    "obs-swap": obs_swap,
    "pivoted-qr": pivoted_qr,
    "random": random_order,
    "zero-or-similar": zero_or_similar,
}
NEEDS_DATA = CRITERIA.keys() - {"geometric-median", "magnitude", "magnitude-l1", "random"}
