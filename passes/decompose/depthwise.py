"""Depthwise kernels as the product of two, a channel at a time and all channels at once (arrays only)."""

import numpy as np

from ...ir.errors import NumericalError
from ..analysis.statistics.moments import FIRST_RIDGE, Floats

_SWEEPS = 30
_LEAST_GAIN = 1e-6


def rank_one(cov: Floats, cross: Floats) -> tuple[Floats, Floats]:
    """Minimise ``E |sum_ij v_i h_j x_ij - y|^2`` in each of g channels by alternating least squares.

    ``cov`` (g, p, q, p, q) is the covariance of a channel's taps, p for the first factor times q for the second, and
    ``cross`` (g, p, q) that with its target. Starts from the SVD of the best dense kernel, so the loss is never above
    that of the SVD. Returns ``v`` (g, p) and ``h`` (g, q) of unit length, zeros for a channel that explains nothing.

    Raises NumericalError on NaN or Inf. Cost about g (p q)^3 + 30 g (p q)^2. Reference as for a separable filter:
    Rigamonti et al., "Learning separable filters", CVPR 2013; the fit from moments is ours.
    """
    if not (np.isfinite(cov).all() and np.isfinite(cross).all()):
        raise NumericalError("NaN or Inf in a covariance", hint="check the calibration data")
    taps = cross[0].size
    dense = _solve(cov.reshape(-1, taps, taps), cross.reshape(-1, taps)).reshape(cross.shape)
    v, h = np.linalg.svd(dense)[0][:, :, 0], np.zeros(cross.shape[::2])
    explained = 0.0
    for _ in range(_SWEEPS):
        seen = np.einsum("gi,giajb,gj->gab", v, cov, v, optimize=True)
        wanted = np.einsum("gi,gia->ga", v, cross)
        h = _unit(_solve(seen, wanted))
        v = _solve(np.einsum("ga,giajb,gb->gij", h, cov, h, optimize=True), np.einsum("ga,gia->gi", h, cross))
        before, explained = explained, float(np.einsum("gi,ga,gia->", v, h, cross, optimize=True))
        if not explained > before * (1 + _LEAST_GAIN):
            break
    return v, h


def _unit(vectors: Floats) -> Floats:
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(length > 0, length, 1.0), np.float64)


def _solve(matrices: Floats, wanted: Floats) -> Floats:
    """Solve g symmetric systems (g, n, n), (g, n), with a ridge that leaves none singular."""
    size = matrices.shape[1]
    mean = np.trace(matrices, axis1=1, axis2=2) / size
    ridge = np.where(mean > 0, size * FIRST_RIDGE * mean, 1.0)
    solved = np.linalg.solve(matrices + ridge[:, None, None] * np.eye(size), wanted[:, :, None])
    return np.asarray(solved[:, :, 0], np.float64)
