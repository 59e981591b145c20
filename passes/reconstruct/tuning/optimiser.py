"""Steps along slopes: orthogonalised momentum for matrices, Adam for vectors and depthwise kernels.

All weights lie in one vector, so that a step is a few operations on long arrays.

References: Jordan et al., "Muon: an optimizer for hidden layers", 2024; Kingma, Ba, "Adam", ICLR 2015.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from .arrays import Arrays, State

_CUBIC = (3.4445, -4.7750, 2.0315)
_ITERATIONS = 5
_MOMENTUM = 0.95
_BETAS = (0.9, 0.99)
_LEAST = 1e-8
_ROWS = 4  # a matrix of fewer rows or columns, as a depthwise kernel has, has nothing to be orthogonal to


@dataclass(frozen=True)
class Layout:
    """Where every weight lies in the vector of all, matrices first: ``shapes`` by name, in order."""

    shapes: Mapping[str, tuple[int, ...]]

    @staticmethod
    def of(weights: Mapping[str, Any]) -> Layout:
        """Lay out weights."""
        shapes = {name: tuple(value.shape) for name, value in weights.items()}
        return Layout(dict(sorted(shapes.items(), key=lambda item: not is_matrix(item[1]))))

    @property
    def matrices(self) -> int:
        """How many entries are of matrices."""
        return sum(prod(shape) for shape in self.shapes.values() if is_matrix(shape))

    def parts(self, vector: Any) -> dict[str, Any]:
        """Return every weight by name; or, of the matrices' share of a vector, every matrix."""
        found, begin = {}, 0
        for name, shape in self.shapes.items():
            if begin + prod(shape) <= len(vector):
                found[name] = vector[begin : begin + prod(shape)].reshape(shape)
            begin += prod(shape)
        return found


@dataclass(frozen=True)
class Optimiser:
    """Moves weights. ``rate``: root of the mean square of a matrix' step; ``own``: of any other weight's, by Adam."""

    rate: float
    own: float

    @staticmethod
    def start(weights: Any) -> State:
        """Return the state before the first step."""
        return {"weights": weights, "first": weights * 0, "second": weights * 0}

    def rates(self, step: int, share: float) -> dict[str, float]:
        """Return the numbers that change from step to step, counted from 1: ``share`` of the full rates, corrected for
        moments that start from nothing.
        """
        mean, square = _BETAS
        return {
            "matrix": share * self.rate,
            "own": share * self.own / (1 - mean**step),
            "second": 1 / (1 - square**step),
        }

    def moved(self, state: State, slope: Any, rates: Mapping[str, Any], layout: Layout, arrays: Arrays) -> State:
        """Return the state after one step along the slope by the vector of all weights."""
        edge, (mean, square) = layout.matrices, _BETAS
        head, tail = slice(None, edge), slice(edge, None)
        held = _MOMENTUM * state["first"][head] + slope[head]
        turned = _turned(slope[head] + _MOMENTUM * held, layout, arrays)
        first = mean * state["first"][tail] + (1 - mean) * slope[tail]
        second = square * state["second"] + (1 - square) * slope * slope
        scaled = first / ((rates["second"] * second[tail]) ** 0.5 + _LEAST)
        move = arrays.joined([rates["matrix"] * turned, rates["own"] * scaled])
        return {"weights": state["weights"] - move, "first": arrays.joined([held, first]), "second": second}


def _turned(slope: Any, layout: Layout, arrays: Arrays) -> Any:
    """Orthogonalise every matrix, scaled so that the root of its mean square is about 1."""
    matrices = {name: part.reshape(len(part), -1) for name, part in layout.parts(slope).items()}
    turned = orthogonalised(list(matrices.values()), arrays)
    sizes = [max(matrix.shape) ** 0.5 for matrix in turned]
    return arrays.joined([slope[:0], *(size * matrix for size, matrix in zip(sizes, turned, strict=True))])


def orthogonalised(matrices: Sequence[Any], arrays: Arrays) -> list[Any]:
    """Return about ``U V^T`` of every ``U S V^T``, those of about one size at once: zeros beside one stay zeros."""
    wide = [matrix.T if matrix.shape[0] > matrix.shape[1] else matrix for matrix in matrices]
    alike = defaultdict(list)
    for place, matrix in enumerate(wide):
        alike[tuple(1 << (size - 1).bit_length() for size in matrix.shape)].append(place)
    found = list(wide)
    for (rows, columns), places in alike.items():
        together = _iterated(arrays.stacked([wide[place] for place in places], rows, columns))
        for place, x in zip(places, together, strict=True):
            found[place] = x[: wide[place].shape[0], : wide[place].shape[1]]
    return [x.T if matrix.shape != x.shape else x for matrix, x in zip(matrices, found, strict=True)]


def _iterated(x: Any) -> Any:
    """Take five steps of a Newton-Schulz iteration with matrices (n, rows, columns)."""
    a, b, c = _CUBIC
    x = x / ((x * x).sum(axis=(1, 2), keepdims=True) ** 0.5 + _LEAST)
    for _ in range(_ITERATIONS):
        gram = x @ x.swapaxes(1, 2)
        x = a * x + (b * gram + c * (gram @ gram)) @ x
    return x


def is_matrix(shape: tuple[int, ...]) -> bool:
    """Whether a weight is orthogonalised."""
    return len(shape) > 1 and shape[1] > 1 and min(shape[0], prod(shape[1:])) >= _ROWS
