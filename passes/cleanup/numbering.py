"""Value numbers: channels of a tensor with one number are equal for every input.

As in a compiler's value numbering (Alpern, Wegman, Zadeck, "Detecting equality of variables in programs", POPL 1988),
two entries of a node's output get one number where its constants, bit for bit, and the numbers of its inputs agree.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ...ir.arguments import padding, reduced_axes
from ...ir.graph import Array, Node
from ...ir.shapes import Shape
from ..analysis.channels.labels import Propagation
from ..analysis.channels.rules import elementwise, normalisation
from ..analysis.channels.rules.table import RULES
from .facts import FactSweep, on_axis
from .layer import Layer, layer_of
from .movement import align, moved


@dataclass
class Counter:
    """Hands out numbers that no other tensor has."""

    next: int = 0

    def fresh(self, ids: Array) -> Array:
        """Return new numbers, equal where ``ids`` are equal."""
        _, dense = np.unique(ids, return_inverse=True)
        numbers: Array = dense.reshape(ids.shape) + self.next
        self.next += int(dense.max()) + 1 if dense.size else 0
        return numbers


@dataclass(frozen=True)
class Numbers:
    """Numbers (int64) of one tensor. Along an axis of size 1, a number stands for a function of the index there."""

    values: Array
    counter: Counter = field(repr=False)

    @property
    def shape(self) -> Shape:
        """Size of every axis."""
        return tuple(self.values.shape)

    def map(self, move: Callable[[Array], Array]) -> Numbers:
        """Move the numbers."""
        return replace(self, values=move(self.values))

    def renewed(self) -> Numbers:
        """Give every function a new number: what is made of it, or of other indices, is another function."""
        return self.map(self.counter.fresh)

    def spread(self, extent: Shape, axes: Sequence[int]) -> Numbers:
        """Give every index of these axes a number of its own."""
        values = self.values
        for axis in axes:
            if values.shape[axis] == 1 < extent[axis]:
                values = values * extent[axis] + on_axis(np.arange(extent[axis]), axis, values.ndim)
        return self if values is self.values else replace(self, values=values).renewed()

    def collapse(self, axes: Sequence[int]) -> Numbers:
        """Number whole slices: equal where all entries are."""
        vary = [axis for axis in axes if self.shape[axis] > 1]
        if not vary:
            return self
        kept = tuple(1 if axis in vary else size for axis, size in enumerate(self.shape))
        rows = np.moveaxis(self.values, vary, range(-len(vary), 0)).reshape(int(np.prod(kept)), -1)
        return replace(self, values=_equal_rows(rows).reshape(kept)).renewed()

    def join(self, others: Sequence[Numbers], axis: int) -> Numbers:
        """Put numbers end to end."""
        return replace(self, values=np.concatenate([self.values, *(other.values for other in others)], axis))


def _equal_rows(rows: Array) -> Array:
    """Return one id a row of integers (rows, n), equal where the rows are."""
    return np.unique(rows, axis=0, return_inverse=True)[1].ravel()


def equal_rows(matrix: Array, numbers: Array, bias: Array) -> Array:
    """Number the rows of a linear map, equal where the weights, the bias and what they read are the same.

    Parameters
    ----------
    matrix : (groups, rows, columns, taps) weights, each group reading its own columns.
    numbers : (groups · columns,) value number of every input channel.
    bias : (groups · rows,).

    Returns
    -------
    ids : int (groups · rows,), from 0.
    """
    table: dict[tuple[bytes, bytes, bytes], int] = {}
    ids = []
    for read, rows, shifts in zip(numbers.reshape(len(matrix), -1), matrix, bias.reshape(len(matrix), -1), strict=True):
        start = read.tobytes()
        keys = [(start, row.tobytes(), shift.tobytes()) for row, shift in zip(rows, shifts, strict=True)]
        ids += [table.setdefault(key, len(table)) for key in keys]
    return np.array(ids, np.int64)


class Numbering(FactSweep[Numbers]):
    """Value numbers of every tensor of a graph. Time: linear in the weights."""

    def __init__(self, ctx: Propagation) -> None:
        self._counter = Counter()
        super().__init__(ctx)

    def unknown(self, rank: int) -> Numbers:
        """Return one function of every index: no two channels are known to be alike."""
        return Numbers(np.zeros((1,) * rank, np.int64), self._counter).renewed()

    def stored(self, array: Array) -> Numbers:
        """Return one number a value."""
        bits = np.asarray(array, order="C").view(f"u{array.itemsize}")
        return Numbers(bits, self._counter).renewed()

    def rule(self, node: Node) -> Sequence[Numbers]:
        """Number a node's outputs, with numbers of their own."""
        return [found.renewed() for found in self._found(node)]

    def _found(self, node: Node) -> Sequence[Numbers]:
        layer = layer_of(self.ctx.graph, node)
        if layer is not None:
            return [self._layer(layer)]
        if node.op in _SPECIAL:
            return _SPECIAL[node.op](self, node)
        rule = RULES.get(node.op)
        if rule is elementwise.elementwise:
            tensors = [tensor for tensor in node.inputs if tensor.name]
            return [self.of_all([self.of(t) for t in tensors], [self.ctx.shape(t) for t in tensors])]
        if rule is elementwise.unary:
            return [self.of(node.inputs[0])]
        if rule is normalisation.pooling:
            return [self._pooled(node)]
        if rule is normalisation.per_channel:
            return self._per_channel(node)
        if rule is normalisation.reduction:
            return self._reduction(node)
        return moved(self.ctx, node, [self.of(tensor) for tensor in node.inputs if tensor.name])

    def of_all(self, parts: Sequence[Numbers], shapes: Sequence[Shape]) -> Numbers:
        """Number any function of single entries of operands of these shapes: equal where all operands are."""
        arrays = np.broadcast_arrays(*(part.values for part in align(parts, shapes)))
        ids = _equal_rows(np.stack([array.ravel() for array in arrays], 1))
        return Numbers(ids.reshape(arrays[0].shape), self._counter)

    def _layer(self, layer: Layer) -> Numbers:
        """Number the rows of the weight."""
        rank = len(self.ctx.shape(layer.node.outputs[0]))
        bias = layer.bias if layer.biased else np.zeros(layer.outputs)
        if bias is None or rank < -layer.axis_out or len(self.ctx.shape(layer.source)) < -layer.axis_in:
            return self.unknown(rank)
        ids = equal_rows(layer.matrix, self.along(layer.source, layer.axis_in).values, bias)
        return Numbers(on_axis(ids, layer.axis_out, rank), self._counter)

    def _pooled(self, node: Node) -> Numbers:
        return self.of(node.inputs[0]).collapse(range(2, len(self.ctx.shape(node.inputs[0]))))

    def _per_channel(self, node: Node) -> list[Numbers]:
        shape = self.ctx.shape(node.inputs[0])
        if len(shape) < 2 or not all(tensor.is_constant for tensor in node.inputs[1:]):
            return []
        parameters = [self.stored(on_axis(tensor.array, 1, len(shape))) for tensor in node.inputs[1:]]
        return [self.of_all([self._pooled(node), *parameters], [shape] * len(node.inputs))]

    def _reduction(self, node: Node) -> list[Numbers]:
        axes = reduced_axes(node, self.ctx.graph.opset, len(self.ctx.shape(node.inputs[0])))
        if axes is None:
            return []
        x = self.of(node.inputs[0]).collapse(axes)
        if node.attribute("keepdims", self.ctx.graph.opset, 1):
            return [x]
        left = [size for axis, size in enumerate(x.shape) if axis not in axes]
        return [x.map(lambda array: array.reshape(left))]


def _dropout(sweep: Numbering, node: Node) -> list[Numbers]:
    """In training every channel would be masked in its own way."""
    trains = len(node.inputs) > 2 and bool(node.inputs[2].name)
    return [] if trains else [sweep.of(node.inputs[0])]


def _resize(sweep: Numbering, node: Node) -> list[Numbers]:
    old, new = sweep.ctx.shape(node.inputs[0]), sweep.ctx.shape(node.outputs[0])
    return [sweep.of(node.inputs[0]).collapse([axis for axis in range(len(old)) if old[axis] != new[axis]])]


def _pad(sweep: Numbering, node: Node) -> list[Numbers]:
    added = padding(node, sweep.ctx.graph.opset, len(sweep.ctx.shape(node.inputs[0])))
    return [] if added is None else [sweep.of(node.inputs[0]).collapse(added.axes)]


def _matmul(sweep: Numbering, node: Node) -> list[Numbers]:
    """Of two activations: an entry depends on one row and one column."""
    shapes = [sweep.ctx.shape(tensor) for tensor in node.inputs]
    if min(map(len, shapes)) < 2:
        return []
    summed = [len(shapes[0]) - 1, len(shapes[1]) - 2]
    parts = [sweep.of(tensor).collapse([axis]) for tensor, axis in zip(node.inputs, summed, strict=True)]
    left = [(*shape[:axis], 1, *shape[axis + 1 :]) for shape, axis in zip(shapes, summed, strict=True)]
    return [sweep.of_all(parts, left)]


_SPECIAL: dict[str, Callable[[Numbering, Node], list[Numbers]]] = {
    "Dropout": _dropout,
    "MatMul": _matmul,
    "Pad": _pad,
    "Resize": _resize,
    "Upsample": _resize,
}
