"""Folding removed channels into what stays, from the statistics of the original network alone (arrays only).

A reader ``y = x W + b`` loses channels; each is replaced by its mean and, depending on the plan, by what survivors tell
about its deviation from it. The replacement is absorbed: into the survivors' weights, and ``(W - W')^T mean`` into
the bias. Unlike least squares, every reader of a group uses the same plan.
"""

from collections.abc import Sequence

import numpy as np

from ...ir.graph import Array
from ..analysis.channels.readers import Reader
from ..analysis.statistics.substitutes import rows_by_taps, shrunk, substitution_costs, tap_shares
from .kernel import interpolation

RIDGE = 1e-4


def into_mean(reader: Reader, stays: Array) -> Array:
    """Return the weight (d, m) with zeros where channels went. ``stays`` (units,) bool."""
    rows = np.where(reader.unit >= 0, stays[reader.unit], True)
    return np.where(rows[:, None], reader.weight, 0.0)


def choose_partners(readers: Sequence[Reader], stays: Array) -> Array:
    """Return for each removed unit the survivor whose affine copy replaces it best, -1 where its mean is cheaper.

    ``stays`` (units,) bool; the result is (units,), -1 for survivors. Costs are summed over the readers, which need
    full covariances: the zero-out and similar criteria of Huang et al. (AFCP, IEEE TCAD 2022) in closed form.
    """
    means, copies = substitution_costs(readers, len(stays))
    copies[:, ~stays] = np.inf
    best = copies.argmin(1)
    cheaper = ~stays & (copies[np.arange(len(stays)), best] < means)
    return np.where(cheaper, best, -1)


def into_partners(reader: Reader, stays: Array, partner: Array) -> Array:
    """Return the weight (d, m) after each removed unit went into its ``partner`` (units,), tap by tap; -1 for none.

    ``W'_p += a W_c`` with ``a_t = S_ct,pt / S_pt,pt``. A partner that the reader does not read with as many taps takes
    nothing.
    """
    weight, cov = into_mean(reader, stays), shrunk(reader)
    for names, rows in rows_by_taps(reader.unit):
        place = np.full(len(stays) + 1, -1)
        place[names] = np.arange(len(names))
        to = place[partner[names]]
        gone, taken = rows[to >= 0], rows[to[to >= 0]]
        shares = tap_shares(cov, gone, taken)
        np.add.at(weight, taken, shares[:, :, None] * reader.weight[gone])
    return weight


def survivor_shares(readers: Sequence[Reader], units: Array, stays: Array) -> Array | None:
    """Return ``T`` (gone, kept) with ``x_gone - mean ~ T (x_kept - mean)`` for one cell, the same for all readers.

    ``units`` (n,) of the cell, ``stays`` (n,) bool; None when no reader has them all with equally many taps. ``T`` is
    the regression with the channels' covariance, averaged over taps and over the readers, each relative to its trace:
    the interpolative reading of Zhang et al. (CHaPR, arXiv 1908.03266).
    """
    kernel = np.zeros((len(units), len(units)))
    for reader in readers:
        rows = _cell_rows(reader, units)
        if rows is not None:
            cov = shrunk(reader)
            total = sum((cov[np.ix_(tap, tap)] for tap in rows.T), np.zeros_like(kernel))
            kernel += total / (np.trace(total) or 1.0)
    return interpolation(kernel, stays, RIDGE) if kernel.any() else None


def into_survivors(reader: Reader, stays: Array, cells: Array, shares: Sequence[Array | None]) -> Array:
    """Return the weight (d, m) after removed units went into all survivors of their cell, ``W'_S = W_S + T^T W_P``.

    ``cells`` (cells, width) are unit numbers, ``shares`` one ``T`` a cell, ``stays`` (units,) bool.
    """
    weight = into_mean(reader, stays)
    for units, share in zip(cells, shares, strict=True):
        rows = _cell_rows(reader, units)
        if share is not None and rows is not None:
            kept, gone = rows[stays[units]], rows[~stays[units]]
            weight[kept] += np.einsum("gk,gtm->ktm", share, reader.weight[gone])
    return weight


def _cell_rows(reader: Reader, units: Array) -> Array | None:
    """Return the reader's rows of a cell, (n, k), or None when it does not read every unit with as many taps."""
    inside = np.where(np.isin(reader.unit, units), reader.unit, -1)
    blocks = list(rows_by_taps(inside))
    if len(blocks) != 1 or len(blocks[0][0]) != len(units):
        return None
    names, rows = blocks[0]
    return rows[np.searchsorted(names, units)]
