"""Steps along slopes: orthogonalised momentum for matrices, Adam for vectors and depthwise kernels.

References: Jordan et al., "Muon: an optimizer for hidden layers", 2024; Kingma, Ba, "Adam", ICLR 2015.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

_CUBIC = (3.4445, -4.7750, 2.0315)
_ITERATIONS = 5
_MOMENTUM = 0.95
_BETAS = (0.9, 0.99)
_LEAST = 1e-8
_ROWS = 4  # a matrix of fewer rows or columns, as a depthwise kernel has, has nothing to be orthogonal to


def orthogonalised(matrix: Any) -> Any:
    """Return about ``U V^T`` of ``matrix = U S V^T``, by five steps of a Newton-Schulz iteration."""
    a, b, c = _CUBIC
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = x / ((x * x).sum() ** 0.5 + _LEAST)
    for _ in range(_ITERATIONS):
        gram = x @ x.T
        x = a * x + (b * gram + c * (gram @ gram)) @ x
    return x.T if tall else x


State = Mapping[str, Mapping[str, Any]]
"""What is carried from step to step: ``weights``, and their ``first`` and ``second`` moments, by name."""


@dataclass(frozen=True)
class Optimiser:
    """Moves weights. ``rate``: root of the mean square of a matrix' step; ``own``: of any other weight's, by Adam."""

    rate: float
    own: float

    def start(self, weights: Mapping[str, Any]) -> State:
        """Return the state before the first step."""
        still = {name: value * 0 for name, value in weights.items()}
        return {"weights": weights, "first": still, "second": still}

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

    def moved(self, state: State, slopes: Mapping[str, Any], rates: Mapping[str, Any]) -> State:
        """Return the state after one step. Weights without a slope stay."""
        weights, first, second = (dict(state[part]) for part in ("weights", "first", "second"))
        for name, slope in slopes.items():
            if is_matrix(slope.shape):
                first[name] = _MOMENTUM * first[name] + slope
                move = rates["matrix"] * _turned(slope + _MOMENTUM * first[name])
            else:
                first[name], second[name] = _moments(first[name], second[name], slope)
                move = rates["own"] * first[name] / ((rates["second"] * second[name]) ** 0.5 + _LEAST)
            weights[name] = weights[name] - move
        return {"weights": weights, "first": first, "second": second}


def _turned(slope: Any) -> Any:
    """Orthogonalise a matrix, scaled so that the root of its mean square is about 1."""
    flat = slope.reshape(len(slope), -1)
    return max(flat.shape) ** 0.5 * orthogonalised(flat).reshape(slope.shape)


def _moments(first: Any, second: Any, slope: Any) -> tuple[Any, Any]:
    mean, square = _BETAS
    return mean * first + (1 - mean) * slope, square * second + (1 - square) * slope * slope


def is_matrix(shape: tuple[int, ...]) -> bool:
    """Whether a weight is orthogonalised."""
    return len(shape) > 1 and shape[1] > 1 and min(shape[0], prod(shape[1:])) >= _ROWS
