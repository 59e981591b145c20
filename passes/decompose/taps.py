"""Strided supports inside a kernel: taps at ``offset + step * t`` along each spatial axis (arrays only).

With a step of 1 the kernel is cropped. A convolution with these taps alone is one with a smaller kernel: from begin
pads ``p`` and dilation ``h`` it takes begin pads ``p - offset * h`` and dilation ``step * h``, and as many end pads as
give the same output positions.

Reference: Anwar, Hwang, Sung, "Structured pruning of deep convolutional neural networks", ACM JETC 13(3) 2017
(arXiv 1512.08571): intra-kernel strided sparsity, one stride and offset an input map. Ours: the choice of stride and
offset by what a least-squares fit explains, counts that differ per axis, and the exact smaller convolution.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations, product
from math import prod

import numpy as np

from ...ir.geometry import Geometry
from ...ir.graph import Array
from ..analysis.statistics.moments import Floats, Ints
from .supports import Choice, Chooser, Mask, choose, explained

Counts = tuple[int, ...]


@dataclass(frozen=True)
class Taps:
    """Taps at ``offset + step * t``, ``t < count``: one number a spatial axis each."""

    offset: tuple[int, ...]
    step: tuple[int, ...]
    count: Counts

    def flat(self, kernel: Counts) -> Ints:
        """Return the taps' places in a kernel laid out flat in C order, (prod(count),), ascending."""
        axes = [o + s * np.arange(n) for o, s, n in zip(self.offset, self.step, self.count, strict=True)]
        return np.ravel_multi_index(np.meshgrid(*axes, indexing="ij"), kernel).ravel().astype(np.int64)

    def walk(self, whole: Geometry) -> Geometry:
        """Return how a convolution with these taps alone walks, from explicit pads; a negative pad crops the input."""
        before = np.asarray(self.offset) * whole.dilations
        last = np.asarray(self.offset) + (np.asarray(self.count) - 1) * self.step
        after = (np.asarray(whole.kernel) - 1 - last) * whole.dilations
        dilations = np.asarray(self.step) * whole.dilations
        begin, end = np.asarray(whole.begin) - before, np.asarray(whole.end) - after
        return Geometry(self.count, whole.strides, _ints(dilations), _ints(begin), _ints(end))


def _ints(values: Array) -> tuple[int, ...]:
    return tuple(int(value) for value in values)


def explicit(walk: Geometry) -> Geometry | None:
    """Return the geometry with its pads as numbers; None where they depend on the input's size.

    Automatic padding of a convolution without stride adds ``reach - 1`` zeros whatever the size.
    """
    if not walk.auto_pad:
        return walk
    if any(step > 1 for step in walk.strides):
        return None
    begin, end = walk.pads([1] * len(walk.kernel))
    return replace(walk, begin=_ints(np.asarray(begin)), end=_ints(np.asarray(end)), auto_pad="")


def shapes(kernel: Counts) -> list[Counts]:
    """List the smaller kernels worth trying, from few taps to many: some axes cut to 1, or to half rounded up."""
    axes = [axis for axis, size in enumerate(kernel) if size > 1]
    found = set()
    for number in range(1, len(axes) + 1):
        for cut in combinations(axes, number):
            found.add(tuple(1 if axis in cut else size for axis, size in enumerate(kernel)))
            found.add(tuple((size + 1) // 2 if axis in cut else size for axis, size in enumerate(kernel)))
    return sorted(found, key=lambda counts: (prod(counts), counts))


def placements(walk: Geometry, counts: Counts) -> list[Taps]:
    """List every stride and offset with so many taps an axis.

    Left out are those for which a convolution would crop one end of an axis and pad the other: they hardly see the
    middle of the kernel, and nothing may be left of a small input.
    """
    axes = [_along(*sizes) for sizes in zip(walk.kernel, counts, strict=True)]
    every = [Taps(tuple(o for o, _ in places), tuple(s for _, s in places), counts) for places in product(*axes)]
    return [taps for taps in every if _crops_or_pads(taps.walk(walk))]


def _along(size: int, count: int) -> list[tuple[int, int]]:
    """List (offset, step) on one axis."""
    if count == 1:
        return [(offset, 1) for offset in range(size)]
    steps = range(1, (size - 1) // (count - 1) + 1)
    return [(offset, step) for step in steps for offset in range(size - (count - 1) * step)]


def _crops_or_pads(walk: Geometry) -> bool:
    return all(begin * end >= 0 for begin, end in zip(walk.begin, walk.end, strict=True))


def rows_of(maps: Ints, taps: Ints, size: int) -> Ints:
    """Return the rows (n, t) that taps (t,) of input maps (n,) have in a matrix of ``size`` rows a map."""
    return maps[:, None] * size + taps


def best_taps(cov: Floats, cross: Floats, walk: Geometry, counts: Counts) -> Taps:
    """Return the placement whose least-squares fit explains most, the same for every input map; ties: the first.

    ``cov`` (d, d) and ``cross`` (d, m) as in :func:`supports.explained`, d = maps * taps of the whole kernel.
    """
    every = placements(walk, counts)
    size = prod(walk.kernel)
    maps = np.arange(len(cov) // size)
    if len(every) == 1:
        return every[0]
    values = [explained(cov, cross, rows_of(maps, taps.flat(walk.kernel), size).ravel()) for taps in every]
    return every[int(np.argmax(values))]


def divide(
    cov: Floats, cross: Floats, kernel: Counts, pair: Sequence[Taps], count: int, choose: Chooser = choose
) -> Mask:
    """Mark the ``count`` input maps (c,) that take the first of two patterns; the others take the second."""
    size = prod(kernel)
    maps = np.arange(len(cov) // size)
    first, second = (taps.flat(kernel) for taps in pair)
    shared = np.intersect1d(first, second)
    parts = shared, np.setdiff1d(first, shared), np.setdiff1d(second, shared)
    return choose(cov, cross, Choice(*(rows_of(maps, part, size) for part in parts)), count)
