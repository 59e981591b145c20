"""Criteria whose cost adds up channel by channel (arrays only)."""

from collections.abc import Sequence

import numpy as np

from ...ir.graph import Array
from ..analysis.channels.ranking import rounds_by_cost

__all__ = ["rounds_by_cost", "unit_costs"]


def unit_costs(
    weights: Sequence[Array], units: Sequence[Array], energy: Sequence[Array | None], count: int, power: int = 2
) -> Array:
    """Return each unit's share of what its readers compute, summed over readers: (count,).

    ``weights[j]`` (d, m) of reader j, ``units[j]`` (d,) the unit of each row or -1, ``energy[j]`` (d,) mean square of
    each input or None for 1. A unit's share in reader j is ``sum_rows energy |W_row|^p / sum_all energy |W|^p``, with
    ``p = power``; for ``p = 2`` that is the relative squared error of zeroing it, inputs taken as uncorrelated.
    """
    total = np.zeros(count)
    for weight, unit, strength in zip(weights, units, energy, strict=True):
        rows = (np.abs(weight) ** power).sum(1) * (1.0 if strength is None else strength)
        whole = rows.sum()
        inside = unit >= 0
        if whole > 0:
            total += np.bincount(unit[inside], rows[inside] / whole, count)
    return total
