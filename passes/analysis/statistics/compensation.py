"""Compensation inside the unpruned graph: zero some inputs of a layer and let the others make up for them."""

import numpy as np
from scipy.linalg import cho_solve

from ....ir.graph import Array
from .moments import factor


def compensated(weight: Array, cov: Array, mean: Array, stays: Array, ridge: float) -> tuple[Array, Array]:
    """Return the best weight without some inputs, and the shift of the bias (methods.md#loss).

    ``weight`` (d, m), ``cov`` (d, d) or (d,), ``mean`` (d,), ``stays`` (d,) bool. The result is (d, m) with zero rows
    where inputs went: ``W' = W_S + inv(S_SS + lam I) S_SP W_P`` with ``lam = ridge * mean(diag S)``; the shift is
    ``W^T mean - W'^T mean``. With variances only, what went is replaced by its mean. Raises NumericalError as
    :func:`factor` does.
    """
    result = np.where(stays[:, None], weight, 0.0)
    if cov.ndim == 2 and stays.any() and not stays.all():
        kept, gone = np.flatnonzero(stays), np.flatnonzero(~stays)
        level = float(np.diagonal(cov).mean())
        left = cov[np.ix_(kept, kept)]
        left[np.diag_indices(len(kept))] += ridge * level
        lower, _ = factor(left, 0.0)
        result[kept] += cho_solve((lower, True), cov[np.ix_(kept, gone)] @ weight[gone], check_finite=False)
    return result, (weight - result).T @ mean
