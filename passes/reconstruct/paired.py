"""Streamed moments of what a layer reads now and what it should give, for one matrix or many small ones."""

import numpy as np

from ...ir.graph import Array
from ..analysis.moments import Moments
from .ridge import solve, solve_batched


class PairedMoments:
    """Moments of ``x`` (g, n, d) and ``y`` (g, n, m); :meth:`solve` fits ``y = x W + b`` in every group."""

    def __init__(self, groups: int, inputs: int, outputs: int) -> None:
        self.single = Moments(inputs, outputs) if groups == 1 else None
        self.count = 0
        self.shift: Array = np.zeros((groups, 1, inputs + outputs))
        self.inputs = inputs
        self.first: Array = np.zeros((groups, inputs + outputs))
        self.second: Array = np.zeros((groups, inputs, inputs + outputs) if groups > 1 else 0)

    def update(self, x: Array, y: Array) -> None:
        """Add a batch of rows."""
        if self.single is not None:
            self.single.update(x[0], y[0])
            return
        both = np.concatenate([x, y], 2).astype(np.float64)
        if not self.count:
            self.shift = both.mean(1, keepdims=True)
        both -= self.shift
        self.count += both.shape[1]
        self.first += both.sum(1)
        self.second += both[:, :, : self.inputs].transpose(0, 2, 1) @ both

    def solve(self, prior: Array, ridge: float) -> tuple[Array, Array]:
        """Return weights (g, d, m) and biases (g, m). Raises NumericalError as :func:`solve` does."""
        if self.single is not None:
            one = self.single
            found = solve(one.cov_xx, one.cov_xy, one.mean_x, one.mean_y, prior[0], ridge=ridge)
            return found.weight[None], found.bias[None]
        mean = self.first / self.count
        d = self.inputs
        cov = self.second / self.count - mean[:, :d, None] * mean[:, None, :]
        centre = mean + self.shift[:, 0]
        many = solve_batched(cov[:, :, :d], cov[:, :, d:], centre[:, :d], centre[:, d:], prior, ridge=ridge)
        return many.weight, many.bias
