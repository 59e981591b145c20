"""Two successive convolutions that share a kernel's taps out between them, fitted to moments (arrays only).

One output is ``sum_j x_j V H_j``: j are the k taps of the second convolution, ``x_j`` the p values that the first one
reads under it, ``V`` (p, r) the first weight and ``H_j`` (r, m) the second's. With ``S`` the covariance of all ``x_j``
and ``C`` their covariance with the target, the loss ``E |sum_j x_j V H_j - y|^2`` is least squares in V and in H:

    H:  sum_j V^T S_ij V H_j = V^T C_i        (a Cholesky factorisation, k r wide)
    V:  sum_ij S_ij V H_j H_i^T = sum_i C_i H_i^T   (conjugate gradients, preconditioned by the mean S_jj and H H^T)

References: Jaderberg, Vedaldi, Zisserman, "Speeding up convolutional neural networks with low rank expansions", BMVC
2014 (k x 1 and 1 x k, and fitting them to data); Chen, Lin, Liu, Xia, Li, "Decouple and stretch: a boost to channel
pruning", IPCCC 2018 (the same layout before a channel pruner). The start in the metric of the mean column covariance,
and both solves from moments alone, are ours.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_solve

from ..analysis.statistics.moments import Floats, factor
from .low_rank_math import Spectrum, ordered, spectrum

_SWEEPS = 8
_LEAST_GAIN = 3e-3
_STEPS = 20
_SMALL = 1e-2
_PRECONDITIONER_RIDGE = 1e-3
_WIDE = 2500


@dataclass(frozen=True, eq=False)
class Factors:
    """``first`` (p, r), ``second`` (r, k, m), and how far their loss lies above that of the best dense weight."""

    first: Floats
    second: Floats
    loss: float = 0.0


class Stretched:
    """One layer's statistics laid out for one way to share out the taps: what all ranks have in common.

    ``cov`` (p, k, k, p) is ``S``: ``cov[a, i, j, b]`` goes with a of ``x_i`` and b of ``x_j``; ``cross`` (p, k, m);
    ``weight`` (p, k, m) is the best dense weight. Raises NumericalError on NaN or Inf.
    """

    def __init__(self, cov: Floats, cross: Floats, weight: Floats) -> None:
        self._cov, self._cross = cov, cross
        self._inputs, self._taps, _ = cross.shape
        self._best = float(np.vdot(weight, cross))
        self._metric: Floats = np.trace(cov, axis1=1, axis2=2) / self._taps
        unfolded = weight.reshape(self._inputs, -1)
        self._weighted = spectrum(self._metric, unfolded)
        self._plain = spectrum(np.eye(self._inputs), unfolded) if self._taps > 1 else self._weighted

    @property
    def spectrum(self) -> Spectrum:
        """The unfolded weight in the metric of the mean column covariance; exact where the second kernel is 1."""
        return self._weighted

    def fit(self, rank: int) -> Factors:
        """Return factors of one rank, 1 <= rank <= min(p, k m), middle channels uncorrelated and by falling energy.

        With k = 1 they are the best ones; else sweeps of alternating least squares, none for very wide layers, stop
        when the loss stops falling. The loss is never above that of a truncated SVD of the weight, repaired or not.
        """
        pair = self.start(rank)
        if self._taps == 1:
            return pair
        for _ in range(_SWEEPS if self._inputs * self._taps <= _WIDE else 0):
            before, pair = pair, self.sweep(pair)
            if not pair.loss < before.loss * (1 - _LEAST_GAIN):
                break
        first, second = ordered(self._metric, pair.first, pair.second.reshape(rank, -1))
        return Factors(first, second.reshape(pair.second.shape), pair.loss)

    def start(self, rank: int) -> Factors:
        """Return the better of two truncated SVDs, data-aware and plain, the second factor solved again."""
        if self._taps == 1:
            first, second = self._weighted.factors(rank)
            return Factors(first, second[:, None], float(self._weighted.energies[rank:].sum()))
        starts = [self._solve_second(known.factors(rank)[0]) for known in (self._weighted, self._plain)]
        return min(starts, key=lambda pair: pair.loss)

    def sweep(self, pair: Factors) -> Factors:
        """Solve for the first factor, then for the second; the pair that was given where that gains nothing."""
        moved = self._solve_second(self._solve_first(pair))
        return moved if moved.loss < pair.loss else pair

    def _products(self, first: Floats) -> Floats:
        """Return ``S_ij V``, laid out (p, k * k * r)."""
        return (self._cov.reshape(-1, self._inputs) @ first).reshape(self._inputs, -1)

    def _solve_second(self, first: Floats) -> Factors:
        rank, taps = first.shape[1], self._taps
        blocks = (first.T @ self._products(first)).reshape(rank, taps, taps, rank)
        gram = blocks.swapaxes(2, 3).reshape(rank * taps, -1)
        wanted = (first.T @ self._cross.reshape(self._inputs, -1)).reshape(rank * taps, -1)
        lower, _ = factor(gram, 0.0)
        second = np.asarray(cho_solve((lower, True), wanted, check_finite=False), np.float64)
        explained = float(np.vdot(second, 2 * wanted - gram @ second))
        return Factors(first, second.reshape(rank, taps, -1), self._best - explained)

    def _solve_first(self, pair: Factors) -> Floats:
        rank, taps = pair.second.shape[:2]
        second = pair.second.reshape(rank, -1)
        long = pair.second.reshape(rank * taps, -1)
        mixing = (long @ long.T).reshape(rank, taps, rank, taps).transpose(3, 1, 0, 2).reshape(-1, rank)
        inputs, _ = factor(self._metric, _PRECONDITIONER_RIDGE)
        outputs, _ = factor(second @ second.T, _PRECONDITIONER_RIDGE)

        def towards(rest: Floats) -> Floats:
            half = cho_solve((inputs, True), rest, check_finite=False)
            return np.asarray(cho_solve((outputs, True), half.T, check_finite=False), np.float64).T

        wanted = self._cross.reshape(self._inputs, -1) @ second.T
        return conjugate_gradients(lambda first: self._products(first) @ mixing, wanted, pair.first, towards)


def conjugate_gradients(
    operator: Callable[[Floats], Floats], wanted: Floats, start: Floats, precondition: Callable[[Floats], Floats]
) -> Floats:
    """Solve ``operator(x) = wanted`` from ``start``, all of one shape, for a symmetric semidefinite operator.

    Takes up to 20 steps, fewer once the preconditioned residual is a tenth of the first: ``x^T operator(x) / 2 -
    x^T wanted`` falls at each. Reference: Hestenes, Stiefel, "Methods of conjugate gradients", 1952.
    """
    found, rest = start, wanted - operator(start)
    step = precondition(rest)
    power = first_power = float(np.vdot(rest, step))
    for _ in range(_STEPS):
        if power <= _SMALL * first_power:
            break
        image = operator(step)
        curvature = float(np.vdot(step, image))
        if curvature <= 0:
            break
        found, rest = found + power / curvature * step, rest - power / curvature * image
        towards = precondition(rest)
        power, before = float(np.vdot(rest, towards)), power
        step = towards + power / before * step
    return found
