"""Two linear maps in the place of one, from moments (arrays only): reduced-rank regression and what goes with it.

References: Izenman, "Reduced-rank regression for the multivariate linear model", J. Multivariate Analysis 1975; Zhang,
Zou, He, Sun, "Accelerating very deep convolutional networks for classification and detection", TPAMI 2016 (the
principal components of a layer's outputs, and outputs of the original network as the target).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_solve, svd

from ...ir.errors import NumericalError
from ..analysis.statistics.moments import Floats, factor


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Best factors of every rank at once: those of rank r are the first r of all.

    ``matrix`` (p, n) is what is factorised, ``directions`` (q, n), q = min(p, n), are orthonormal rows, the most
    important first, and ``energies`` (q,) what each explains of ``E |x matrix|^2``.
    """

    matrix: Floats
    directions: Floats
    energies: Floats

    def factors(self, rank: int) -> tuple[Floats, Floats]:
        """Return ``A`` (p, r) and ``B`` (r, n) with ``A B`` closest to the matrix; ``x A`` is uncorrelated."""
        second = self.directions[:rank]
        return self.matrix @ second.T, second


def regression(cov: Floats, cross: Floats) -> Floats:
    """Return ``inv(cov) cross`` (d, m): the weight that predicts best. ``cov`` (d, d), ``cross`` (d, m).

    A singular ``cov`` gets the least ridge that makes it definite. Raises NumericalError on NaN or Inf. Cost
    d^3 / 3 + 2 d^2 m.
    """
    if not np.isfinite(cross).all():
        raise NumericalError("NaN or Inf in a covariance", hint="check the calibration data")
    lower, _ = factor(cov, 0.0)
    return np.asarray(cho_solve((lower, True), cross, check_finite=False), np.float64)


def spectrum(metric: Floats, matrix: Floats) -> Spectrum:
    """Minimise ``tr (X - A B)^T metric (X - A B)`` for every rank, by the SVD of ``L^T X`` with ``metric = L L^T``.

    ``metric`` (p, p) is the covariance of x, ``matrix`` X (p, n). With ``X = regression(cov, cross)`` and
    ``metric = cov`` it is reduced-rank regression: B spans the leading eigenvectors of ``cross^T inv(cov) cross`` and
    ``A = X B^T``. Raises NumericalError on NaN or Inf. Cost p^3 / 3 + 2 p^2 n + 2 p n min(p, n), and an SVD of that
    smaller side.
    """
    lower, _ = factor(metric, 0.0)
    triangle = np.linalg.qr(lower.T @ matrix, mode="r")
    _, values, directions = svd(triangle, full_matrices=False, check_finite=False)
    return Spectrum(matrix, np.asarray(directions, np.float64), np.asarray(values, np.float64) ** 2)


def ordered(metric: Floats, first: Floats, second: Floats) -> tuple[Floats, Floats]:
    """Change the basis between two factors, not their product, to that of :func:`spectrum`.

    ``metric`` (p, p), ``first`` (p, r), ``second`` (r, n), r <= min(p, n). With ``second^T = Q R`` and the
    eigenvectors ``E`` of ``R M R^T``, ``M = first^T metric first``: ``first R^T E`` and ``E^T Q^T``. Cost 2 p^2 r.
    """
    basis, triangle = np.linalg.qr(second.T)
    turned = first @ triangle.T
    _, vectors = np.linalg.eigh(turned.T @ (metric @ turned))
    vectors = vectors[:, ::-1]
    return turned @ vectors, vectors.T @ basis.T


def rank_for_energy(energies: Floats, share: float) -> int:
    """Return the least rank that explains ``share`` (0 to 1) of the output's energy, at least 1.

    ``energies`` (q,) descending, as in :class:`Spectrum`: with rank r the relative error is what lies beyond r.
    """
    explained = np.cumsum(energies)
    return min(int(np.searchsorted(explained, share * explained[-1])) + 1, len(energies))


def rank_grid(limit: int, every: int = 16, points: int = 20) -> Sequence[int]:
    """List ranks from 1 to ``limit``: each one up to ``every``, else about ``points`` in geometric steps."""
    if limit <= every:
        return range(1, limit + 1)
    return [int(rank) for rank in np.unique(np.geomspace(1, limit, points).round())]
