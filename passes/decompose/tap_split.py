"""Sharing a kernel's taps out between two successive convolutions: geometry, and the order of rows and columns."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from ...ir.geometry import Geometry
from ...ir.graph import Array


@dataclass(frozen=True)
class TapSplit:
    """``kernel``: taps along each spatial axis, () for a product; ``early``: axes that the first convolution walks.

    All axes early is k x k then 1 x 1, none is 1 x 1 then k x k, (0,) is k x 1 then 1 x k. Each axis keeps its stride,
    dilation and pads, so the pair is exact: along the other axes a factor has one tap, stride 1 and no pads.
    """

    kernel: tuple[int, ...]
    early: tuple[int, ...]

    @property
    def late(self) -> tuple[int, ...]:
        """Axes that the second convolution walks."""
        return tuple(axis for axis in range(len(self.kernel)) if axis not in self.early)

    def kernels(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Return the kernel sizes of both."""
        return _pick(self.kernel, self.early, 1), _pick(self.kernel, self.late, 1)

    def taps(self) -> tuple[int, int]:
        """Return how many taps each has."""
        first, second = self.kernels()
        return prod(first), prod(second)

    def walks(self, walk: Geometry) -> tuple[Geometry, Geometry]:
        """Return how each walks, for a layer that walks so."""
        return _part(walk, self.early), _part(walk, self.late)

    def rows(self, matrix: Array) -> Array:
        """Lay (g, c * taps, m) out as (g, c * first taps, second taps, m)."""
        groups, _, outputs = matrix.shape
        apart = matrix.reshape(groups, -1, *self.kernel, outputs)
        return apart.transpose(0, 1, *self._order(), -1).reshape(groups, -1, self.taps()[1], outputs)

    def square(self, cov: Array) -> Array:
        """Lay (g, d, d) out as (g, c * first taps, second taps, second taps, c * first taps)."""
        groups, wide, _ = cov.shape
        channels, second = wide // prod(self.kernel), self.taps()[1]
        apart = cov.reshape(groups, channels, *self.kernel, channels, *self.kernel)
        left = [1, *self._order()]
        right = [1 + len(self.kernel) + axis for axis in left]
        early = 1 + len(self.early)
        laid = apart.transpose(0, *left, *right[early:], *right[:early])
        return laid.reshape(groups, wide // second, second, second, -1)

    def matrix(self, first: Array, second: Array) -> Array:
        """Multiply ``first`` (g, c * first taps, r) and ``second`` (g, r, second taps, m) out to (g, c * taps, m)."""
        groups, rank, _, outputs = second.shape
        order = self._order()
        sizes = [self.kernel[axis - 2] for axis in order]
        product = (first @ second.reshape(groups, rank, -1)).reshape(groups, -1, *sizes, outputs)
        return product.transpose(0, 1, *(2 + np.argsort(order)), -1).reshape(groups, -1, outputs)

    def _order(self) -> list[int]:
        return [2 + axis for axis in (*self.early, *self.late)]


def _pick(values: Sequence[int], axes: Sequence[int], other: int) -> tuple[int, ...]:
    return tuple(value if axis in axes else other for axis, value in enumerate(values))


def _part(walk: Geometry, axes: Sequence[int]) -> Geometry:
    kernel, strides, dilations = (_pick(values, axes, 1) for values in (walk.kernel, walk.strides, walk.dilations))
    begin, end = _pick(walk.begin, axes, 0), _pick(walk.end, axes, 0)
    return Geometry(kernel, strides, dilations, begin, end, walk.auto_pad)
