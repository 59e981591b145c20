"""Streamed moments of what a layer reads now and what it should give, and the fit that predicts unseen samples best."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...ir.graph import Array
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


def fitted(halves: Sequence[Joint], prior: Array) -> tuple[Array, Array]:
    """Fit ``y = x W + b`` with the ridge that, fitted on one half of the samples, predicts the other best.

    ``prior`` (d, m) is what the ridge pulls to; where it predicts better than every fit, it is kept and only the bias is
    fitted. Raises NumericalError as :func:`solve` does.
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
        return prior, whole.y - whole.x @ prior
    found = solve(whole.xx, whole.xy, whole.x, whole.y, prior, ridge=ridges[best])
    return found.weight, found.bias


class PairedMoments:
    """Moments of ``x`` (g, n, d) and ``y`` (g, n, m); :meth:`solve` fits ``y = x W + b`` in every group."""

    def __init__(self, groups: int, inputs: int, outputs: int) -> None:
        self.halves = (Moments(inputs, outputs), Moments(inputs, outputs)) if groups == 1 else None
        self.turn = 0
        self.count = 0
        self.shift: Array = np.zeros((groups, 1, inputs + outputs))
        self.inputs = inputs
        self.first: Array = np.zeros((groups, inputs + outputs))
        self.second: Array = np.zeros((groups, inputs, inputs + outputs) if groups > 1 else 0)

    def update(self, x: Array, y: Array, images: int) -> None:
        """Add a batch of rows, image by image."""
        if self.halves is not None:
            self._alternate(x[0], y[0], images)
            return
        both = np.concatenate([x, y], 2).astype(np.float64)
        if not self.count:
            self.shift = both.mean(1, keepdims=True)
        both -= self.shift
        self.count += both.shape[1]
        self.first += both.sum(1)
        self.second += both[:, :, : self.inputs].transpose(0, 2, 1) @ both

    def _alternate(self, x: Array, y: Array, images: int) -> None:
        assert self.halves is not None
        cut = len(x) // images * (images // 2) if images > 1 else len(x) * self.turn
        self.turn = 1 - self.turn
        for half, rows in zip(self.halves, (slice(None, cut), slice(cut, None)), strict=True):
            half.update(x[rows], y[rows])

    def solve(self, prior: Array, ridge: float) -> tuple[Array, Array]:
        """Return weights (g, d, m) and biases (g, m); ``ridge`` is for many small groups, and for a single sample.

        Raises NumericalError as :func:`solve` does.
        """
        if self.halves is not None:
            filled = [joint(half) for half in self.halves if half.count]
            if len(filled) == 1:
                one = filled[0]
                found = solve(one.xx, one.xy, one.x, one.y, prior[0], ridge=max(ridge, RIDGES[-2]))
                return found.weight[None], found.bias[None]
            weight, bias = fitted(filled, prior[0])
            return weight[None], bias[None]
        mean = self.first / self.count
        d = self.inputs
        cov = self.second / self.count - mean[:, :d, None] * mean[:, None, :]
        centre = mean + self.shift[:, 0]
        many = solve_batched(cov[:, :, :d], cov[:, :, d:], centre[:, :d], centre[:, d:], prior, ridge=ridge)
        return many.weight, many.bias
