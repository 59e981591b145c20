"""Criteria whose cost adds up channel by channel: magnitude, and magnitude times activation (arrays only)."""

from collections.abc import Sequence

import numpy as np

from ...ir.graph import Array


def unit_costs(weights: Sequence[Array], units: Sequence[Array], energy: Sequence[Array | None], count: int) -> Array:
    """Return each unit's share of what its readers compute, summed over readers: (count,).

    ``weights[j]`` (d, m) of reader j, ``units[j]`` (d,) the unit of each row or -1, ``energy[j]`` (d,) mean square of
    each input or None for 1. A unit's share in reader j is ``sum_rows energy |W_row|^2 / sum_all energy |W|^2``:
    the relative squared error of zeroing it, inputs taken as uncorrelated (Wanda for matrices of one column block,
    arXiv 2306.11695; without energy the squared L2 norm of Li et al., ICLR 2017, over coupled layers as in DepGraph,
    CVPR 2023).
    """
    total = np.zeros(count)
    for weight, unit, power in zip(weights, units, energy, strict=True):
        rows = (weight**2).sum(1) * (1.0 if power is None else power)
        whole = rows.sum()
        inside = unit >= 0
        if whole > 0:
            total += np.bincount(unit[inside], rows[inside] / whole, count)
    return total


def rounds_by_cost(costs: Array, cells: int) -> tuple[Array, Array]:
    """Order units cheapest first within each cell; return (rounds, cells) unit numbers and the (rounds + 1,) curve.

    ``costs`` is (cells * width,), cell by cell. Ties go to the higher number, so that low indices stay.
    """
    table = costs.reshape(cells, -1)
    order = np.argsort(table[:, ::-1], axis=1, kind="stable")
    order = table.shape[1] - 1 - order
    sorted_costs = np.take_along_axis(table, order, 1).sum(0)
    numbers = order + np.arange(cells)[:, None] * table.shape[1]
    return numbers.T, np.concatenate([[0.0], np.cumsum(sorted_costs)])
