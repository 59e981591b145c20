"""The Gram matrix of what channels contribute to their readers' outputs (arrays only)."""

from collections.abc import Sequence

import numpy as np

from ...ir.graph import Array
from ..analysis.statistics.substitutes import rows_by_taps
from ..analysis.subsets.sets import contributions
from .conditional import Part


def contribution_gram(parts: Sequence[Part], units: int) -> Array:
    """Return ``Q`` (units, units), ``Q_ij = sum over parts of tr(W_i^T R_ij W_j)`` (methods.md#gram).

    With a bool vector ``g`` of what goes, ``g^T Q g`` is the loss when means go to the bias and nothing else changes.
    Cost d^2 m a part.
    """
    gram = np.zeros((units, units))
    for part in parts:
        names, starts = np.unique(part.unit, return_index=True)
        gram[np.ix_(names, names)] += contributions(part.covariance, part.weight, starts)
    return gram


def weight_norms(parts: Sequence[Part], units: int) -> Array:
    """Return the norm of each unit's weights over all parts, (units,)."""
    squares = np.zeros(units)
    for part in parts:
        for names, rows in rows_by_taps(part.unit):
            squares[names] += np.einsum("nkm,nkm->n", part.weight[rows], part.weight[rows])
    return np.sqrt(squares)
