"""Weights and bias of a layer by ridge regression from moments (arrays only): the compensation of every criterion.

With ``x`` what the layer reads now and ``y`` what it should give, the fit needs only means and covariances. With
``y = W0 x0 + b0`` and ``x`` the kept part of ``x0`` this is the best compensation (docs/methods.md#loss); with ``x``
from the pruned network and ``y`` from the original one it also makes up for the layers before (#drift).

References: He, Zhang, Sun, "Channel pruning for accelerating very deep neural networks", ICCV 2017; Xie, Fu, Tian,
Zhou, Chen, "Pruning with compensation" (CaP), arXiv 2108.13728. The ridge towards the old weights is ours.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_solve

from ...ir.errors import NumericalError
from ..analysis.statistics.moments import RIDGE_LIMIT, factor

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Solution:
    """``y ~ weight^T x + bias``. Shapes: weight (..., d, m), bias (..., m), explained (..., m), ridge (...).

    ``explained`` is how much of each output's variance the fit accounts for: ``var_y - explained`` is its mean squared
    error on the calibration rows. ``ridge`` is the absolute lambda that was used.
    """

    weight: Floats
    bias: Floats
    explained: Floats
    ridge: Floats


def solve(cov_xx: Floats, cov_xy: Floats, mean_x: Floats, mean_y: Floats, prior: Floats, *, ridge: float) -> Solution:
    """Minimise ``E |W^T x + b - y|^2 + lam |W - W0|^2`` over ``W`` (d, m) and ``b`` (m,); ``b`` is not penalised.

    ``W = W0 + inv(Sxx + lam I) (Sxy - Sxx W0)``, ``b = E y - W^T E x``, ``lam = ridge * mean(diag Sxx)``, by Cholesky.
    ``cov_xx`` (d, d), ``cov_xy`` (d, m), ``mean_x`` (d,), ``mean_y`` (m,), ``prior`` = W0 (d, m), ``ridge`` relative
    and >= 0. When ``Sxx + lam I`` is not positive definite in working precision, lam is raised tenfold until it is.

    Raises NumericalError on NaN or Inf, or when the relative ridge would pass ``RIDGE_LIMIT``. Cost d^3/3 + 2 d^2 m.
    """
    lower, lam = factor(cov_xx, ridge)
    weight = prior + cho_solve((lower, True), cov_xy - cov_xx @ prior, check_finite=False)
    return _finish(cov_xx, cov_xy, mean_x, mean_y, weight, np.array(lam))


def solve_batched(
    cov_xx: Floats, cov_xy: Floats, mean_x: Floats, mean_y: Floats, prior: Floats, *, ridge: float
) -> Solution:
    """Solve ``g`` independent problems of ``solve`` at once, as for the channels of a depthwise convolution.

    ``cov_xx`` (g, d, d), ``cov_xy`` (g, d, m), ``mean_x`` (g, d), ``mean_y`` (g, m), ``prior`` (g, d, m). With
    ``Sxx = Q diag(e) Q^T``: ``W = W0 + Q diag(1 / (e + lam)) Q^T (Sxy - Sxx W0)``. Each problem has its own ``lam``,
    ``max(ridge * mean(e), d * eps * max(e) - min(e))``: just enough to be positive definite in working precision.

    Raises NumericalError on NaN or Inf, or when a relative ridge would pass ``RIDGE_LIMIT``. Cost about 9 g d^3.
    """
    if not np.isfinite(cov_xx).all():
        raise NumericalError("NaN or Inf in a covariance", hint="check the calibration data")
    values, vectors = np.linalg.eigh(cov_xx)
    mean = values.mean(axis=-1)
    unit = np.where(mean > 0, mean, 1.0)
    floor = 2 * values.shape[-1] * np.finfo(np.float64).eps * np.abs(values).max(axis=-1)
    lam = np.maximum(ridge * unit, floor - values[:, 0])
    if (lam > RIDGE_LIMIT * unit).any():
        worst = float((lam / unit).max())
        raise NumericalError("a covariance is too badly conditioned", value=worst, limit=RIDGE_LIMIT)
    spectrum = (values + lam[:, None])[:, :, None]
    spectrum = np.where(spectrum > 0, spectrum, 1.0)
    weight = prior + vectors @ ((vectors.mT @ (cov_xy - cov_xx @ prior)) / spectrum)
    return _finish(cov_xx, cov_xy, mean_x, mean_y, weight, lam)


def _finish(cov_xx: Floats, cov_xy: Floats, mean_x: Floats, mean_y: Floats, weight: Floats, lam: Floats) -> Solution:
    """Bias, and explained variance ``2 w^T Sxy - w^T Sxx w`` of each output; leading axes are problems."""
    bias = mean_y - np.einsum("...dm,...d->...m", weight, mean_x)
    explained = np.einsum("...dm,...dm->...m", weight, 2 * cov_xy - cov_xx @ weight)
    if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
        raise NumericalError("NaN or Inf in reconstructed weights", hint="check the calibration data and the weights")
    return Solution(weight, bias, explained, lam)
