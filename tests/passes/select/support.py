"""Random readers of a group, and their compensated loss straight from its definition."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optimise_onnx.passes.analysis.channels.readers import Reader
from optimise_onnx.passes.select.conditional import Part, conditioned

Array = NDArray[Any]


def samples(rng: np.random.Generator, count: int, width: int) -> Array:
    """Correlated rectified rows (count, width)."""
    mixed = rng.standard_normal((count, width)) @ rng.standard_normal((width, width)) / np.sqrt(width)
    return np.maximum(mixed + 0.2, 0)


def reader(weight: Array, unit: Array, x: Array | None = None, ridge: float = 0.0) -> Reader:
    """A reader of rows ``x`` (n, d), or one without data."""
    if x is None:
        return Reader("layer", 0, weight, unit, None, None)
    cov = np.cov(x.T, bias=True).reshape(len(unit), len(unit))
    return Reader("layer", 0, weight, unit, x.mean(0), cov, ridge)


def random_reader(rng: np.random.Generator, unit: Array, outputs: int = 4, count: int = 400) -> Reader:
    """A reader with these units by row."""
    d = len(unit)
    return reader(rng.standard_normal((d, outputs)), unit, samples(rng, count, d), 1e-3)


def taps(units: int, k: int, fixed: int = 0) -> Array:
    """``k`` rows for each unit, then some that belong to none."""
    return np.r_[np.repeat(np.arange(units), k), np.full(fixed, -1)]


def loss(parts: Sequence[Part], gone: Sequence[int] | Array) -> float:
    """The loss of methods.md#loss, summed over parts."""
    total = 0.0
    for part in parts:
        left = ~np.isin(part.unit, gone)
        across = part.covariance[left] @ part.weight
        fitted = np.linalg.solve(part.covariance[np.ix_(left, left)], across)
        total += float(np.vdot(part.weight, part.covariance @ part.weight) - np.vdot(across, fitted))
    return total


def cases(rng: np.random.Generator) -> list[tuple[list[Reader], tuple[int, int]]]:
    """Groups with two readers, taps, ragged taps, rows that stay, several cells."""
    return [
        ([random_reader(rng, taps(6, 2)), random_reader(rng, taps(6, 1, 3), 2)], (1, 6)),
        ([random_reader(rng, rng.integers(-1, 6, 20))], (1, 6)),
        ([random_reader(rng, taps(6, 3)), random_reader(rng, taps(3, 2)), random_reader(rng, taps(3, 2) + 3)], (2, 3)),
    ]


def parts_of(readers: Sequence[Reader]) -> list[Part]:
    """What can go of each reader; there must be some."""
    found = conditioned(readers)
    assert found
    return found
