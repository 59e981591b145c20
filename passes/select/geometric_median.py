"""``geometric-median``: channels whose weights lie near those of all others go first."""

from collections.abc import Sequence

import numpy as np

from ...ir.graph import Array
from ..analysis.channels.readers import Reader
from ..analysis.statistics.substitutes import rows_by_taps
from .additive import rounds_by_cost
from .criterion import FROM_WEIGHTS, ByReaders


def geometric_median(
    readers: Sequence[Reader], form: tuple[int, int], _rng: np.random.Generator
) -> tuple[Array, Array]:
    """Sum of the distances to the other channels' weights (He et al., FPGM, CVPR 2019, arXiv 1811.00250).

    A channel near the geometric median of its cell can be replaced by the others. The vectors are a channel's weights
    in all readers, each reader's whole scaled to norm 1 (the paper takes the producer's filter). The curve adds up
    shares of all distances.
    """
    cells, width = form
    gram = _weight_gram(readers, cells * width)
    costs = np.concatenate([_distances(gram[s : s + width, s : s + width]) for s in range(0, len(gram), width)])
    whole = costs.sum()
    return rounds_by_cost(costs / whole if whole > 0 else costs, cells)


def _weight_gram(readers: Sequence[Reader], units: int) -> Array:
    """Return the inner products of the units' weights over all readers, (units, units); missing taps count as 0."""
    gram = np.zeros((units, units))
    for reader in readers:
        whole = float(np.vdot(reader.weight, reader.weight))
        blocks = list(rows_by_taps(reader.unit)) if whole > 0 else []
        taps = max((rows.shape[1] for _, rows in blocks), default=0)
        stacked = np.zeros((units, taps, reader.weight.shape[1]))
        for names, rows in blocks:
            stacked[names, : rows.shape[1]] = reader.weight[rows]
        flat = stacked.reshape(units, -1)
        gram += flat @ flat.T / (whole or 1.0)
    return gram


def _distances(gram: Array) -> Array:
    """Sum each vector's Euclidean distances to all vectors of a Gram matrix (n, n): (n,)."""
    squares = np.diagonal(gram)
    apart = squares[:, None] + squares - 2 * gram
    np.fill_diagonal(apart, 0.0)
    return np.asarray(np.sqrt(np.maximum(apart, 0.0)).sum(1))


GEOMETRIC_MEDIAN = ByReaders(
    "geometric-median",
    'He et al., "Filter pruning via geometric median" (FPGM), CVPR 2019, arXiv 1811.00250',
    FROM_WEIGHTS,
    geometric_median,
)
