"""What may stand in for one removed channel: its mean, or an affine copy of another channel (arrays only).

A channel ``c`` of a layer ``y = x W + b`` has ``k`` inputs (taps). Replaced by its mean it costs
``tr(W_c^T S_cc W_c)``. Replaced tap by tap by ``a_t x_pt + const`` with ``a_t = S_ct,pt / S_pt,pt``, which a partner
``p`` allows, it costs ``tr(W_c^T E W_c)`` with ``E = S_cc - A S_pc - S_cp A + A S_pp A``, ``A = diag(a)``.

These are the two criteria, zero-out and similar, between which Huang et al. choose ("Acceleration-Aware Fine-Grained
Channel Pruning", IEEE TCAD 2022) with trained gates; the closed form from calibration statistics is ours.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from ....ir.graph import Array
from ..channels.readers import Reader


def shrunk(reader: Reader) -> Array:
    """Return the covariance with the ridge that its samples call for, a fresh (d, d) array; ``cov`` must be (d, d)."""
    assert reader.cov is not None
    cov: Array = reader.cov.copy()
    cov[np.diag_indices(len(cov))] += reader.ridge * float(np.diagonal(cov).mean())
    return cov


def relative(reader: Reader) -> float:
    """Return ``1 / tr(W^T S W)``, which makes losses relative to the layer's output; 0 for a constant output."""
    assert reader.cov is not None
    power = float(np.vdot(reader.weight, reader.cov @ reader.weight))
    return 1.0 / power if power > np.finfo(np.float64).tiny else 0.0


def rows_by_taps(unit: Array) -> Iterator[tuple[Array, Array]]:
    """Yield, for each number k of rows that some unit has, those units (n,) and their rows (n, k).

    ``unit`` (d,) is the unit of each row, or -1.
    """
    rows = np.flatnonzero(unit >= 0)
    rows = rows[np.argsort(unit[rows], kind="stable")]
    names, sizes = np.unique(unit[rows], return_counts=True)
    of_size = np.repeat(sizes, sizes)
    for k in np.unique(sizes).tolist():
        yield names[sizes == k], rows[of_size == k].reshape(-1, k)


def substitution_costs(readers: Sequence[Reader], units: int) -> tuple[Array, Array]:
    """Return each unit's cost of going, summed over readers: (units,) for its mean, (units, units) for a copy.

    ``copies[c, p]`` is the cost of ``c`` copied from ``p``; infinite for ``p = c``. A reader without ``p``, or with
    another number of taps for it, takes the mean. Costs are relative to each reader's output (methods.md#stand-ins);
    every reader needs its (d, d) covariance. Cost d^2 + d m k a reader.
    """
    means, copies = np.zeros(units), np.zeros((units, units))
    for reader in readers:
        scale, cov = relative(reader), shrunk(reader)
        for names, rows in rows_by_taps(reader.unit):
            gram = scale * reader.weight[rows] @ reader.weight[rows].mT
            own = np.einsum("ctu,ctu->c", gram, cov[rows[:, :, None], rows[:, None, :]])
            means[names] += own
            copies[names] += own[:, None]
            copies[np.ix_(names, names)] -= _saved(gram, cov, rows)
    np.fill_diagonal(copies, np.inf)
    return means, np.maximum(copies, 0.0)


def tap_shares(cov: Array, gone: Array, partner: Array) -> Array:
    """Return ``a`` (..., k): how much of each partner's input replaces the removed one; 0 for a constant partner.

    ``cov`` (d, d), ``gone`` and ``partner`` (..., k) are rows of it, paired.
    """
    variance = cov[partner, partner]
    return np.asarray(np.where(variance > 0, cov[gone, partner] / np.where(variance > 0, variance, 1.0), 0.0))


def _saved(gram: Array, cov: Array, rows: Array) -> Array:
    """Return how much less than its mean a copy costs, (n, n): ``tr(gram (A S_pc + S_cp A - A S_pp A))``."""
    shares = tap_shares(cov, rows[:, None, :], rows[None, :, :])
    total = np.zeros((len(rows), len(rows)))
    for tap, own in enumerate(rows.T):
        across = np.einsum("cu,pcu->cp", gram[:, tap], cov[own[:, None, None], rows[None]])
        among = np.einsum("cu,cpu,pu->cp", gram[:, tap], shares, cov[own[:, None], rows])
        total += shares[:, :, tap] * (2 * across - among)
    return total
