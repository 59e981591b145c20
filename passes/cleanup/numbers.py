"""What value numbering knows of one tensor: ``value = factor · base[number]``, entry by entry."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ...ir.graph import Array
from ...ir.shapes import Shape
from .facts import on_axis
from .rows import cluster

ZERO, ONE, MINUS = 0, 1, 2


@dataclass
class Counter:
    """Hands out numbers that no other tensor has."""

    next: int = 3

    def fresh(self, ids: Array) -> Array:
        """Return new numbers, equal where ``ids`` are equal."""
        _, dense = np.unique(ids, return_inverse=True)
        numbers: Array = dense.reshape(ids.shape) + self.next
        self.next += int(dense.max()) + 1 if dense.size else 0
        return numbers


@dataclass(frozen=True)
class Numbers:
    """Numbers and positive factors, two arrays of one shape that broadcast to the tensor's.

    Along an axis where they have size 1, a base is a function of the index there. ``ZERO``, ``ONE`` and ``MINUS`` are
    the bases 0, 1 and -1.
    """

    number: Array
    factor: Array
    counter: Counter = field(repr=False)

    @staticmethod
    def unknown(rank: int, counter: Counter) -> Numbers:
        """Make the numbers of a tensor of which nothing is known."""
        return Numbers(counter.fresh(np.zeros((1,) * rank, np.int64)), np.ones((1,) * rank), counter)

    @staticmethod
    def stored(array: Array, counter: Counter) -> Numbers:
        """Make the numbers of a constant."""
        values = array.astype(np.float64)
        number = np.select([values > 0, values < 0], [ONE, MINUS], ZERO)
        return Numbers(number, np.where(number == ZERO, 1.0, np.abs(values)), counter)

    @property
    def shape(self) -> Shape:
        """Size of every axis."""
        return tuple(self.number.shape)

    def map(self, move: Callable[[Array], Array]) -> Numbers:
        """Move both arrays the same way."""
        return replace(self, number=move(self.number), factor=move(self.factor))

    def renewed(self) -> Numbers:
        """Give every base a new number: the same function of other indices is another function.

        The largest factor becomes 1, so that factors do not grow with the depth of the network.
        """
        largest = self.factor.max(initial=0.0)
        factor = self.factor / largest if largest > 0 else self.factor
        return replace(self, number=self.counter.fresh(self.number), factor=factor)

    def spread(self, extent: Shape, axes: Sequence[int]) -> Numbers:
        """Give every index of these axes a number of its own."""
        number = self.number
        for axis in axes:
            if number.shape[axis] == 1 < extent[axis]:
                number = number * extent[axis] + on_axis(np.arange(extent[axis]), axis, number.ndim)
        if number is self.number:
            return self
        return replace(self, number=self.counter.fresh(number), factor=np.broadcast_to(self.factor, number.shape))

    def collapse(self, axes: Sequence[int]) -> Numbers:
        """Number whole slices: equal where all entries are, and their factors have one ratio."""
        vary = [axis for axis in axes if self.shape[axis] > 1]
        if not vary:
            return self
        kept = tuple(1 if axis in vary else size for axis, size in enumerate(self.shape))
        last = tuple(range(-len(vary), 0))
        number, factor = (
            np.moveaxis(array, vary, last).reshape(int(np.prod(kept)), -1) for array in (self.number, self.factor)
        )
        ids = cluster(number, factor / factor[:, :1])
        return replace(self, number=self.counter.fresh(ids.reshape(kept)), factor=factor[:, 0].reshape(kept))

    def join(self, others: Sequence[Numbers], axis: int) -> Numbers:
        """Put both arrays end to end."""
        parts = (self, *others)
        number = np.concatenate([part.number for part in parts], axis)
        return replace(self, number=number, factor=np.concatenate([part.factor for part in parts], axis))


def product(parts: Sequence[Numbers], inverse: bool = False) -> Numbers:
    """Number the product of two aligned tensors, or their quotient: the factors multiply."""
    first, second = parts
    factor = first.factor / second.factor if inverse else first.factor * second.factor
    return _numbered(first, [first.number, second.number], [], factor)


def total(parts: Sequence[Numbers]) -> Numbers:
    """Number a function that scales with its operands: the first one's factor is common, the others' ratios count."""
    first = parts[0]
    common = first.factor
    for part in parts[1:]:
        common = np.where(first.number == ZERO, part.factor, common)
    ratios = [np.where(part.number == ZERO, 1.0, part.factor / common) for part in parts]
    return _numbered(first, [part.number for part in parts], ratios, common)


def scaled(parts: Sequence[Numbers]) -> Numbers:
    """Number a function that scales with its first operand when the others stay as they are."""
    first, *rest = parts
    return _numbered(first, [part.number for part in parts], [part.factor for part in rest], first.factor)


def opaque(parts: Sequence[Numbers]) -> Numbers:
    """Number any function of single entries: equal where all operands are."""
    return _numbered(parts[0], [part.number for part in parts], [part.factor for part in parts], np.ones(()))


def _numbered(model: Numbers, keys: Sequence[Array], values: Sequence[Array], factor: Array) -> Numbers:
    *arrays, factors = np.broadcast_arrays(*keys, *values, factor)
    table = np.stack([array.ravel() for array in arrays[: len(keys)]], 1)
    floats = [array.ravel() for array in arrays[len(keys) :]]
    ids = cluster(table, np.stack(floats, 1) if floats else np.zeros((len(table), 0)))
    return replace(model, number=model.counter.fresh(ids.reshape(factors.shape)), factor=factors)
