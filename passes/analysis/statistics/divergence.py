"""How far one model's outputs are from another's, in one number per sample, without labels (arrays only)."""

import numpy as np

from ....ir.graph import Array
from ....ir.shapes import Shape

_FEWEST, _MOST = 2, 100_000
_HUGE = 1e30
_LEAST_SPREAD = 1e-6  # of the mean: rows that vary less are hardly used
TEMPERATURE = 2.0
"""Scores are softened by so much, at least, before they are compared: few uncertain samples carry the plain divergence.
With 128 samples the logarithm of its ratio to that of 4,000 others spreads by 0.51; that of the softened one, by 0.25.
"""
_LEAST = 1e-12
_SUREST = -np.log(_LEAST)
_SURE = 3.2  # nats between the two best scores of half of the rows, at most: 96 %, as those ratios were measured at
_SCORES = ("Add", "Gemm", "LogSoftmax", "MatMul")


def divergence(reference: Array, other: Array, *, logits: bool, rows: int | None = None) -> float:
    """Return the mean Kullback-Leibler divergence of softened class scores (nats), or the relative squared error.

    ``reference`` and ``other``: (n, ...) float outputs of the original and the changed model; ``logits`` says that
    rows are class scores, whose distributions are ``softmax(scores / temperature)``. The relative error is
    ``|other - reference|^2 / |reference - mean|^2``; where the reference does not vary, relative to its power; with
    ``rows``, an axis whose entries have scales of their own, the mean of their relative errors. NaN and Inf count as
    1e30 on both sides.
    """
    if not reference.size:
        return 0.0
    if logits:
        return float(softened_divergences(reference, other, temperature(margins(reference))).mean())
    a, b = _finite(reference), _finite(other)
    spread, missed = (_by_row(v, rows) for v in (a - a.mean(0, keepdims=True), a - b))
    if not spread.any():
        spread = _by_row(a, rows)
    least = _LEAST_SPREAD * float(spread.mean()) or 1.0
    return float((missed / np.maximum(spread, least)).mean())


def margins(scores: Array) -> Array:
    """Return by how much the best score of each row exceeds the second, (..., classes) -> (...); 0 of one class."""
    if scores.shape[-1] < 2:
        return np.zeros(scores.shape[:-1])
    second, best = np.moveaxis(np.partition(_finite(scores), (-2, -1), -1)[..., -2:], -1, 0)
    return np.asarray(best - second)


def temperature(found: Array) -> float:
    """Return what scores with these :func:`margins` are divided by: half of the rows are then at most 96 % sure.

    Margins beyond those of probabilities that a float holds count as these: scores may be masked by huge numbers.
    """
    return max(TEMPERATURE, float(np.median(np.minimum(found, _SUREST))) / _SURE) if found.size else TEMPERATURE


def softened_divergences(reference: Array, other: Array, heat: float) -> Array:
    """Return the divergence of each row of class scores divided by ``heat``, (..., classes) -> (...)."""
    a, b = ((v - v.max(-1, keepdims=True)) / heat for v in (_finite(reference), _finite(other)))
    a, b = (v - np.log(np.exp(v).sum(-1, keepdims=True)) for v in (a, b))
    return np.asarray(np.maximum((np.exp(a) * (a - b)).sum(-1), 0))


def _by_row(values: Array, rows: int | None) -> Array:
    """Sum squares over all axes but ``rows``; over all where there is none."""
    axes = tuple(axis for axis in range(values.ndim) if axis != rows)
    return np.atleast_1d(np.sum(values**2, axis=axes))


def disagreement(reference: Array, other: Array) -> float:
    """Return the share of entries that differ, for outputs that decide: classes, indices, masks."""
    return float((reference != other).mean()) if reference.size else 0.0


def _finite(values: Array) -> Array:
    known = np.nan_to_num(values.astype(np.float64), nan=_HUGE, posinf=_HUGE, neginf=-_HUGE)
    return np.clip(known, -_HUGE, _HUGE)


def looks_like_logits(shape: Shape, produced_by: str) -> bool:
    """Whether an output is a row of class scores a sample: rank 2, two classes or more, made by a linear layer."""
    return len(shape) == 2 and _FEWEST <= shape[1] <= _MOST and produced_by in _SCORES


def as_logits(values: Array) -> Array:
    """Turn probabilities into scores whose softmax they are."""
    return np.log(np.maximum(values.astype(np.float64), _LEAST))
