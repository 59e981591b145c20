"""``magnitude`` and ``magnitude-l1``: norms of the readers' weights."""

from collections.abc import Sequence

import numpy as np

from ...ir.graph import Array
from ..analysis.channels.readers import Reader
from .additive import rounds_by_cost, unit_costs
from .criterion import FROM_WEIGHTS, ByReaders


def magnitude(readers: Sequence[Reader], form: tuple[int, int], _rng: np.random.Generator) -> tuple[Array, Array]:
    """Squared L2 norm of the readers' weights, each reader's whole counted as 1 (DepGraph, CVPR 2023)."""
    return _by_norm(readers, form, 2)


def magnitude_l1(readers: Sequence[Reader], form: tuple[int, int], _rng: np.random.Generator) -> tuple[Array, Array]:
    """L1 norm, as Li et al. rank filters (ICLR 2017, arXiv 1608.08710), but of the readers' weights."""
    return _by_norm(readers, form, 1)


def _by_norm(readers: Sequence[Reader], form: tuple[int, int], power: int) -> tuple[Array, Array]:
    flat = [None] * len(readers)
    costs = unit_costs([r.weight for r in readers], [r.unit for r in readers], flat, form[0] * form[1], power)
    return rounds_by_cost(costs, form[0])


MAGNITUDE = ByReaders("magnitude", 'Fang et al., "DepGraph", CVPR 2023, arXiv 2301.12900', FROM_WEIGHTS, magnitude)
MAGNITUDE_L1 = ByReaders(
    "magnitude-l1",
    'Li et al., "Pruning filters for efficient ConvNets", ICLR 2017, arXiv 1608.08710',
    FROM_WEIGHTS,
    magnitude_l1,
)
