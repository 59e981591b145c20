"""Moments of rows in two halves of the samples, streamed, added up over shards, and pooled (arrays only)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ....ir.graph import Array
from .batched_moments import BatchedMoments
from .moments import Moments

LARGEST = 6000
MOST_SHRINKAGE = 0.9
_FEWEST_ROWS = 1024


@dataclass(frozen=True)
class InputMoments:
    """Moments of one layer's input, ``mean`` (g, d) and ``cov`` (g, d, d); only variances when ``cov`` is (g, d).

    ``ridge`` (g,): how much of the mean variance to add on the diagonal, from how well two halves of the samples agree.
    """

    mean: Array
    cov: Array
    ridge: Array


@dataclass(frozen=True)
class Sums:
    """What rows add up to: their ``count``, their ``mean`` (g, d), and ``cov`` (g, d, d), or variances (g, d)."""

    count: int
    mean: Array
    cov: Array


Halves = tuple[Sums | None, Sums | None]


class _Running:
    """Streamed moments of one layer's rows; of inputs too wide for a covariance, each is a problem of its own."""

    def __init__(self, groups: int, width: int) -> None:
        self.form = groups, width
        self.narrow = width <= LARGEST
        self.state: Moments | BatchedMoments
        if groups == 1 and self.narrow:
            self.state = Moments(width, 0, single=True)
        else:
            self.state = BatchedMoments(*(self.form if self.narrow else (groups * width, 1)), 0)
        self.waiting: list[Array] = []
        self.count = 0

    def update(self, rows: Array) -> None:
        """Add rows (g, n, d). Few rows of a wide layer wait for more: every update touches the whole matrix."""
        self.waiting.append(rows)
        self.count += rows.shape[1]
        enough = max(_FEWEST_ROWS, self.form[1] // 2) if isinstance(self.state, Moments) else 1
        if sum(part.shape[1] for part in self.waiting) >= enough:
            self._flush()

    def _flush(self) -> None:
        rows = np.concatenate(self.waiting, 1) if len(self.waiting) > 1 else self.waiting[0]
        self.waiting.clear()
        if isinstance(self.state, Moments):
            self.state.update(rows[0], rows[0, :, :0])
            return
        values = rows if self.narrow else rows.transpose(0, 2, 1).reshape(-1, rows.shape[1], 1)
        self.state.update(values, values[:, :, :0])

    def moments(self) -> tuple[Array, Array]:
        """Return mean (g, d) and covariance (g, d, d) or variances (g, d)."""
        if self.waiting:
            self._flush()
        if isinstance(self.state, Moments):
            return self.state.mean_x[None], self.state.cov_xx[None]
        mean, cov = self.state.result()
        return (mean, cov) if self.narrow else (mean.reshape(self.form), cov.reshape(self.form))


class RunningHalves:
    """Two halves of the samples, kept apart until the end to see how far their covariances differ."""

    def __init__(self, groups: int, width: int) -> None:
        self.parts = (_Running(groups, width), _Running(groups, width))
        self.turn = 0

    def update(self, rows: Array, images: int) -> None:
        """Add a batch: its first images to one half, the others to the other; single images in turn."""
        if images == 1:
            self.parts[self.turn].update(rows)
            self.turn = 1 - self.turn
            return
        cut = rows.shape[1] // images * (images // 2)
        self.parts[0].update(rows[:, :cut])
        self.parts[1].update(rows[:, cut:])

    def sums(self) -> Halves:
        """Return both halves, None for one without rows."""
        first, second = (Sums(part.count, *part.moments()) if part.count else None for part in self.parts)
        return first, second


def added(one: Halves, other: Halves) -> Halves:
    """Add up two shards of the samples, half by half."""
    first, second = (merged(a, b) for a, b in zip(one, other, strict=True))
    return first, second


def merged(one: Sums | None, other: Sums | None) -> Sums | None:
    """Return the sums of both: with ``d`` between the means, ``C = p A + q B + p q d d^T`` for shares p and q of rows.

    Reference: Chan, Golub, LeVeque, "Algorithms for computing the sample variance", The American Statistician 1983.
    """
    if one is None or other is None:
        return one or other
    share = one.count / (one.count + other.count)
    step = other.mean - one.mean
    cov = share * one.cov
    cov += (1 - share) * other.cov
    wide = step[:, :, None] * step[:, None, :] if cov.ndim > 2 else step**2
    cov += (share * (1 - share)) * wide
    return Sums(one.count + other.count, one.mean + (1 - share) * step, cov)


def together(halves: Halves) -> InputMoments:
    """Return the moments of all samples; uses the covariances up."""
    filled = [half for half in halves if half is not None]
    if len(filled) == 1:
        return InputMoments(filled[0].mean, filled[0].cov, np.full(len(filled[0].mean), 1.0))
    first, second = filled
    return pooled(first.mean, first.cov, first.count, second.mean, second.cov, second.count)


def pooled(mean_a: Array, cov_a: Array, count_a: int, mean_b: Array, cov_b: Array, count_b: int) -> InputMoments:
    """Merge the moments of two halves, using their covariances up.

    The ridge is Ledoit-Wolf shrinkage with the halves' difference as its noise:
    ``rho = (|A - B|^2 / 4) / |S - mu I|^2``, ridge ``rho / (1 - rho)`` (Ledoit, Wolf, J. Multivariate Analysis 2004;
    taking the noise from halves of the images, because rows of one image depend on each other, is ours).
    """
    share = count_a / (count_a + count_b)
    step = mean_a - mean_b
    mean = share * mean_a + (1 - share) * mean_b
    cov, rest = cov_a, np.subtract(cov_b, cov_a, out=cov_b)
    noise = _power(rest) / 4 if cov.ndim > 2 else np.zeros(len(mean))
    rest *= 1 - share
    cov += rest
    step *= np.sqrt(share * (1 - share))
    cov += np.multiply(step[:, :, None], step[:, None, :], out=rest) if cov.ndim > 2 else step**2
    if cov.ndim == 2:
        return InputMoments(mean, cov, noise)
    level = np.einsum("gdd->g", cov) / cov.shape[1]
    spread = _power(cov) - cov.shape[1] * level**2
    rho = np.clip(noise / np.maximum(spread, 1e-30), 0.0, MOST_SHRINKAGE)
    return InputMoments(mean, cov, rho / (1 - rho))


def _power(matrices: Array) -> Array:
    return np.asarray(np.einsum("gij,gij->g", matrices, matrices))
