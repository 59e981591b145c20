"""How alike channels are, told from weights alone (arrays only): second moments under white inputs, through a ReLU."""

import numpy as np
from scipy.linalg import cho_solve

from ...ir.graph import Array
from ..analysis.statistics.moments import factor

_ROWS = 256


def linear_kernel(rows: Array) -> Array:
    """``E[a_i a_j]`` of ``a = rows @ x`` for white ``x``: ``rows @ rows^T``. ``rows`` (c, d) → (c, c)."""
    return rows @ rows.T


def relu_kernel(rows: Array) -> Array:
    """``E[relu(a_i) relu(a_j)]`` for white Gaussian ``x``: the arc-cosine kernel of degree 1. (c, d) → (c, c).

    ``|r_i| |r_j| (sin t + (pi - t) cos t) / (2 pi)`` with ``t`` the angle between the rows (Cho, Saul, NIPS 2009).
    """
    kernel: Array = rows @ rows.T
    norm = np.sqrt(np.maximum(np.diagonal(kernel), 1e-30))
    for start in range(0, len(kernel), _ROWS):  # in place: what stands between would take several times as much
        part, scale = kernel[start : start + _ROWS], np.outer(norm[start : start + _ROWS], norm)
        cosine = np.clip(part / scale, -1.0, 1.0)
        angle = np.arccos(cosine)
        part[:] = scale * (np.sin(angle) + (np.pi - angle) * cosine) / (2 * np.pi)
    return kernel


def interpolation(kernel: Array, stays: Array, ridge: float) -> Array:
    """Return ``T`` (gone, kept) such that ``x_gone ~ T x_kept``: ``K_PS inv(K_SS + lam I)``.

    ``kernel`` (c, c) second moments, ``stays`` (c,) bool. Raises NumericalError as :func:`factor` does.
    """
    kept, gone = np.flatnonzero(stays), np.flatnonzero(~stays)
    lower, _ = factor(kernel[np.ix_(kept, kept)], ridge)
    solved: Array = cho_solve((lower, True), kernel[np.ix_(kept, gone)], check_finite=False).T
    return solved
