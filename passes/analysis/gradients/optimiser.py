"""Steps along slopes: orthogonalised momentum for matrices, Adam for vectors and depthwise kernels.

References: Jordan et al., "Muon: an optimizer for hidden layers", 2024; Kingma, Ba, "Adam", ICLR 2015.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
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


@dataclass
class Optimiser:
    """Moves weights. ``rate``: root of the mean square of a matrix' step; ``own``: of any other weight's, by Adam."""

    rate: float
    own: float
    _first: dict[str, Any] = field(default_factory=dict)
    _second: dict[str, Any] = field(default_factory=dict)
    _steps: int = 0

    def step(self, weights: dict[str, Any], slopes: Mapping[str, Any], share: float) -> None:
        """Take one step, ``share`` of the full rates long."""
        self._steps += 1
        for name, slope in slopes.items():
            move = self._turned(name, slope) if is_matrix(slope.shape) else self._scaled(name, slope)
            weights[name] = weights[name] - share * move

    def _turned(self, name: str, slope: Any) -> Any:
        held = self._first[name] = _MOMENTUM * self._first.get(name, 0.0) + slope
        flat = (slope + _MOMENTUM * held).reshape(len(slope), -1)
        return self.rate * max(flat.shape) ** 0.5 * orthogonalised(flat).reshape(slope.shape)

    def _scaled(self, name: str, slope: Any) -> Any:
        mean, square = _BETAS
        first = self._first[name] = mean * self._first.get(name, 0.0) + (1 - mean) * slope
        second = self._second[name] = square * self._second.get(name, 0.0) + (1 - square) * slope * slope
        size = (second / (1 - square**self._steps)) ** 0.5
        return self.own / (1 - mean**self._steps) * first / (size + _LEAST)


def is_matrix(shape: tuple[int, ...]) -> bool:
    """Whether a weight is orthogonalised."""
    return len(shape) > 1 and shape[1] > 1 and min(shape[0], prod(shape[1:])) >= _ROWS
