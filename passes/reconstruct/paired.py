"""Streamed moments of what a layer reads now and what it should give, and the fit that predicts unseen samples best."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from ...ir.graph import Array
from ..analysis.statistics.batched_moments import BatchedMoments
from ..analysis.statistics.moments import Moments
from .ridge import solve, solve_batched

RIDGES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
_WIDE = 1500
_FEWEST_ROWS = 1024
_JUDGED = 64  # outputs, at most about, that a ridge is chosen by


@dataclass(frozen=True)
class Joint:
    """Means and covariances of ``x`` (d) and ``y`` (m): ``xx`` (d, d), ``xy`` (d, m), ``yy`` (m,) variances."""

    count: float
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

    def restricted(self, outputs: slice, kind: type[np.floating]) -> "Joint":
        """Keep some of the outputs, as numbers of a ``kind``."""
        kept = self.x, self.y[outputs], self.xx, self.xy[:, outputs], self.yy[outputs]
        return Joint(self.count, *(values.astype(kind, copy=False) for values in kept))


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
    some = slice(None, None, -(-prior.shape[1] // _JUDGED))
    a, b = (half.restricted(some, np.float32 if wide else np.float64) for half in halves)
    trials = [Trial(a, b, prior[:, some])]
    trials += [] if wide else [Trial(b, a, prior[:, some])]
    best, error = lowest(lambda place: sum(trial.error(RIDGES[place]) for trial in trials), len(RIDGES))
    whole = merged(*halves)
    if not error < sum(trial.error_of_prior() for trial in trials):
        return prior, whole.y - whole.x @ prior, 1.0
    found = solve(whole.xx, whole.xy, whole.x, whole.y, prior, ridge=RIDGES[best] / 2)
    return found.weight, found.bias, RIDGES[best] / 2


class Trial:
    """Fits on ``train`` and predicts ``test``, with one ridge after another."""

    def __init__(self, train: Joint, test: Joint, prior: Array) -> None:
        self._train, self._test, self._prior = train, test, prior.astype(train.xx.dtype)
        self._pull = train.xy - train.xx @ self._prior
        self._level = np.diagonal(train.xx).mean()

    def error(self, ridge: float) -> float:
        """Return the mean squared error on ``test``; infinite where the ridge is too small to solve with."""
        shifted = np.array(self._train.xx.T, order="F")  # symmetric: laid out as the factorisation wants it
        shifted[np.diag_indices(len(shifted))] += ridge * self._level
        try:
            factored = cho_factor(shifted, lower=True, overwrite_a=True, check_finite=False)
        except np.linalg.LinAlgError:
            return np.inf
        return self._error(self._prior + cho_solve(factored, self._pull, check_finite=False))

    def error_of_prior(self) -> float:
        """Return the error of the prior with a bias fitted on ``train``."""
        return self._error(self._prior)

    def _error(self, weight: Array) -> float:
        return self._test.error(weight, self._train.y - self._train.x @ weight)


def lowest(score: Callable[[int], float], count: int) -> tuple[int, float]:
    """Go downhill from the middle of ``count`` places; return the lowest place reached and its score.

    Beyond a place that is no lower, nothing is looked at.
    """
    place = count // 2
    least = score(place)
    for step in (1, -1):
        start = place
        while 0 <= place + step < count and (found := score(place + step)) < least:
            place, least = place + step, found
        if place != start:
            break
    return place, least


class PairedMoments:
    """Moments of ``x`` (g, n, d) and ``y`` (g, n, m); :meth:`solve` fits ``y = x W + b`` in every group.

    One group keeps two halves of the images apart, to choose its ``ridge`` by; many groups are small, and share one.
    """

    def __init__(self, groups: int, inputs: int, outputs: int) -> None:
        self._halves = [Moments(inputs, outputs, single=True) for _ in range(2 if groups == 1 else 0)]
        self._many = BatchedMoments(groups, inputs, outputs) if groups > 1 else None
        self._waiting: list[tuple[list[Array], list[Array], list[Array]]] = [([], [], []) for _ in self._halves]
        self._turn, self._outputs = 0, outputs
        self.ridge = 1.0

    def update(self, x: Array, y: Array, images: int, times: Array | None = None) -> None:
        """Add a batch of rows, image by image; ``times`` (n,): how often each counts. Many groups count them once."""
        if self._many is not None:
            self._many.update(x, y)
            return
        rows = x.shape[1]
        cut = rows // images * (images // 2) if images > 1 else rows * self._turn
        self._turn = 1 - self._turn
        for half, part in enumerate((slice(None, cut), slice(cut, None))):
            for waiting, values in zip(self._waiting[half], (x[0], y[0], times), strict=True):
                waiting += [] if values is None else [values[part]]
            if sum(map(len, self._waiting[half][0])) >= max(_FEWEST_ROWS, x.shape[2] // 2):
                self._flush(half)

    def _flush(self, half: int) -> None:
        """Add the rows that have waited: every update touches the whole matrix, so it should bring many."""
        held = (np.concatenate(parts) if len(parts) > 1 else parts[0] for parts in self._waiting[half] if parts)
        self._waiting[half] = [], [], []
        self._halves[half].update(*held)

    def _filled(self) -> list[Joint]:
        for half, (waiting, *_) in enumerate(self._waiting):
            if waiting:
                self._flush(half)
        return [joint(half) for half in self._halves if half.count]

    def whole(self) -> Joint:
        """Return the moments of all samples, of one group."""
        filled = self._filled()
        return filled[0] if len(filled) == 1 else merged(*filled)

    def inputs(self) -> tuple[Array, Array, Array]:
        """Return the means of ``x`` (g, d) and ``y`` (g, m), and the covariance of ``x`` (g, d, d)."""
        if self._many is None:
            one = self.whole()
            return one.x[None], one.y[None], one.xx[None]
        mean, cov = self._many.result()
        d = mean.shape[1] - self._outputs
        return mean[:, :d], mean[:, d:], cov[:, :d, :d]

    def solve(self, prior: Array, ridge: float) -> tuple[Array, Array]:
        """Return weights (g, d, m) and biases (g, m); ``ridge`` is for many small groups, and for a single sample.

        Raises NumericalError as :func:`solve` does.
        """
        if self._many is not None:
            mean, cov = self._many.result()
            d = prior.shape[1]
            many = solve_batched(cov[:, :, :d], cov[:, :, d:], mean[:, :d], mean[:, d:], prior, ridge=ridge)
            return many.weight, many.bias
        filled = self._filled()
        if len(filled) == 1:
            one = filled[0]
            found = solve(one.xx, one.xy, one.x, one.y, prior[0], ridge=max(ridge, RIDGES[-2]))
            return found.weight[None], found.bias[None]
        weight, bias, self.ridge = fitted(filled, prior[0])
        return weight[None], bias[None]
