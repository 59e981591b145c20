"""Streamed moments of what a layer reads now and what it should give, and the fit that predicts unseen samples best."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...ir.graph import Array
from ..analysis.batched_moments import BatchedMoments
from ..analysis.moments import Moments
from .ridge import solve, solve_batched

RIDGES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
_FEW_RIDGES = (1e-3, 1e-2, 1e-1)
_WIDE = 1500


@dataclass(frozen=True)
class Joint:
    """Means and covariances of ``x`` (d) and ``y`` (m): ``xx`` (d, d), ``xy`` (d, m), ``yy`` (m,) variances."""

    count: int
    x: Array
    y: Array
    xx: Array
    xy: Array
    yy: Array

    def error(self, weight: Array, bias: Array) -> float:
        """Return ``E |x W + b - y|^2``."""
        shift = self.x @ weight + bias - self.y
        fit = np.einsum("dm,dm->m", weight, self.xx @ weight - 2 * self.xy)
        return float((fit + self.yy + shift**2).sum())


def joint(moments: Moments) -> Joint:
    """Read off streamed moments."""
    m = moments
    return Joint(m.count, m.mean_x, m.mean_y, m.cov_xx, m.cov_xy, m.var_y)


def merged(a: Joint, b: Joint) -> Joint:
    """Put two sets of rows together."""
    count = a.count + b.count
    p, q = a.count / count, b.count / count
    dx, dy = a.x - b.x, a.y - b.y
    return Joint(
        count,
        p * a.x + q * b.x,
        p * a.y + q * b.y,
        p * a.xx + q * b.xx + p * q * np.outer(dx, dx),
        p * a.xy + q * b.xy + p * q * np.outer(dx, dy),
        p * a.yy + q * b.yy + p * q * dy**2,
    )


def fitted(halves: Sequence[Joint], prior: Array) -> tuple[Array, Array, float]:
    """Fit ``y = x W + b`` with the ridge that, fitted on one half of the samples, predicts the other best.

    All samples together call for half the ridge that half of them do. ``prior`` (d, m) is what the ridge pulls to;
    where it predicts better than every fit, it is kept and only the bias is fitted. Returns weight, bias, and the
    ridge, relative; 1 for the prior. Raises NumericalError as :func:`solve` does.
    """
    wide = len(prior) > _WIDE
    ridges = _FEW_RIDGES if wide else RIDGES
    turns = [(halves[0], halves[1])] if wide else [(halves[0], halves[1]), (halves[1], halves[0])]
    scores = np.zeros(len(ridges) + 1)
    for train, test in turns:
        for place, ridge in enumerate(ridges):
            found = solve(train.xx, train.xy, train.x, train.y, prior, ridge=ridge)
            scores[place] += test.error(found.weight, found.bias)
        scores[-1] += test.error(prior, train.y - train.x @ prior)
    whole = merged(*halves)
    best = int(scores.argmin())
    if best == len(ridges):
        return prior, whole.y - whole.x @ prior, 1.0
    found = solve(whole.xx, whole.xy, whole.x, whole.y, prior, ridge=ridges[best] / 2)
    return found.weight, found.bias, ridges[best] / 2


class PairedMoments:
    """Moments of ``x`` (g, n, d) and ``y`` (g, n, m); :meth:`solve` fits ``y = x W + b`` in every group.

    One group keeps two halves of the images apart, to choose its ``ridge`` by; many groups are small, and share one.
    """

    def __init__(self, groups: int, inputs: int, outputs: int) -> None:
        self._halves = [Moments(inputs, outputs, single=True) for _ in range(2 if groups == 1 else 0)]
        self._many = BatchedMoments(groups, inputs, outputs) if groups > 1 else None
        self._turn = 0
        self.ridge = 1.0

    def update(self, x: Array, y: Array, images: int) -> None:
        """Add a batch of rows, image by image."""
        if self._many is not None:
            self._many.update(x, y)
            return
        rows = x.shape[1]
        cut = rows // images * (images // 2) if images > 1 else rows * self._turn
        self._turn = 1 - self._turn
        for half, part in zip(self._halves, (slice(None, cut), slice(cut, None)), strict=True):
            half.update(x[0, part], y[0, part])

    def whole(self) -> Joint:
        """Return the moments of all samples, of one group."""
        filled = [joint(half) for half in self._halves if half.count]
        return filled[0] if len(filled) == 1 else merged(*filled)

    def solve(self, prior: Array, ridge: float) -> tuple[Array, Array]:
        """Return weights (g, d, m) and biases (g, m); ``ridge`` is for many small groups, and for a single sample.

        Raises NumericalError as :func:`solve` does.
        """
        if self._many is not None:
            mean, cov = self._many.result()
            d = prior.shape[1]
            many = solve_batched(cov[:, :, :d], cov[:, :, d:], mean[:, :d], mean[:, d:], prior, ridge=ridge)
            return many.weight, many.bias
        filled = [joint(half) for half in self._halves if half.count]
        if len(filled) == 1:
            one = filled[0]
            found = solve(one.xx, one.xy, one.x, one.y, prior[0], ridge=max(ridge, RIDGES[-2]))
            return found.weight[None], found.bias[None]
        weight, bias, self.ridge = fitted(filled, prior[0])
        return weight[None], bias[None]
