"""Value numbers: channels of a tensor with one number are equal up to their positive factors, for every input.

As in a compiler's value numbering, two entries of a node's output get one number where its constants and the numbers of
its inputs agree. A linear map first adds up the columns that read one number, so one sweep finds what would otherwise
show only after merging layer by layer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ...ir.arguments import padding, reduced_axes
from ...ir.graph import Array, Node
from ..analysis.channels.labels import Propagation
from ..analysis.channels.rules import elementwise, normalisation
from ..analysis.channels.rules.table import RULES
from .affine import inference_norm
from .facts import FactSweep, on_axis
from .layer import Layer, layer_of
from .movement import align, moved
from .numbers import Counter, Numbers, opaque, product, scaled, total
from .rows import group_rows

_HOMOGENEOUS = {"Abs", "Identity", "LeakyRelu", "Neg", "Relu"}
_ADDITIVE = {"Add", "Max", "Mean", "Min", "Sub", "Sum"}
_HOMOGENEOUS_REDUCTIONS = {"ReduceL1", "ReduceL2", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceSum"}


class Numbering(FactSweep[Numbers]):
    """Value numbers of every tensor of a graph. Time: linear in the weights; memory: chunks of 64 MiB."""

    def __init__(self, ctx: Propagation) -> None:
        self._counter = Counter()
        super().__init__(ctx)

    def unknown(self, rank: int) -> Numbers:
        """Return one base that depends on every index: no two channels are known to be alike."""
        return Numbers.unknown(rank, self._counter)

    def stored(self, array: Array) -> Numbers:
        """Return the bases 0, 1 and -1 and the magnitudes."""
        return Numbers.stored(array, self._counter)

    def rule(self, node: Node) -> Sequence[Numbers]:
        """Number a node's outputs, with numbers of their own."""
        return [found.renewed() for found in self._found(node)]

    def _found(self, node: Node) -> Sequence[Numbers]:
        layer = layer_of(self.ctx.graph, node)
        if layer is not None:
            return [self._layer(layer)]
        if node.op == "MatMul":
            return self._matmul(node)
        special = _SPECIAL.get(node.op)
        if special is not None:
            return special(self, node)
        rule = RULES.get(node.op)
        if rule is elementwise.elementwise:
            return [self._elementwise(node)]
        if rule is elementwise.unary:
            x = self.of(node.inputs[0])
            return [x if node.op in _HOMOGENEOUS else opaque([x])]
        if rule is normalisation.pooling:
            return [self.of(node.inputs[0]).collapse(range(2, len(self.ctx.shape(node.inputs[0]))))]
        if rule is normalisation.reduction:
            return self._reduction(node)
        return moved(self.ctx, node, [self.of(tensor) for tensor in node.inputs if tensor.name])

    def _layer(self, layer: Layer) -> Numbers:
        """Number the rows of the weight. Output bases are functions of the position, as input bases are."""
        rank = len(self.ctx.shape(layer.node.outputs[0]))
        bias = layer.bias
        if layer.node.op == "MatMul":
            bias = np.zeros(layer.outputs)
        if (
            bias is None
            or not layer.gain
            or rank < -layer.axis_out
            or len(self.ctx.shape(layer.source)) < -layer.axis_in
        ):
            return self.unknown(rank)
        x = self.along(layer.source, layer.axis_in)
        ids, scale = group_rows(layer.matrix, x.number, x.factor, bias / layer.gain)
        found = Numbers(on_axis(ids, layer.axis_out, rank), on_axis(scale, layer.axis_out, rank), self._counter)
        if layer.node.op != "MatMul":
            return found
        return product([found, self.of(layer.source).collapse([rank + layer.axis_in])])

    def _matmul(self, node: Node) -> list[Numbers]:
        """Of two activations: an entry depends on one row and one column."""
        extents = [self.ctx.shape(tensor) for tensor in node.inputs]
        if min(len(extent) for extent in extents) < 2:
            return []
        summed = [len(extents[0]) - 1, len(extents[1]) - 2]
        parts = [self.of(tensor).collapse([axis]) for tensor, axis in zip(node.inputs, summed, strict=True)]
        left = [tuple(1 if a == axis else n for a, n in enumerate(e)) for e, axis in zip(extents, summed, strict=True)]
        return [product(align(parts, left))]

    def _elementwise(self, node: Node) -> Numbers:
        tensors = [tensor for tensor in node.inputs if tensor.name]
        parts = align([self.of(tensor) for tensor in tensors], [self.ctx.shape(tensor) for tensor in tensors])
        if any(tensor.is_constant and np.dtype(tensor.dtype).kind != "f" for tensor in tensors):
            return opaque(parts)  # integers are divided with a remainder
        if node.op in ("Mul", "Div"):
            return product(parts, inverse=node.op == "Div")
        if node.op in _ADDITIVE:
            return total(parts)
        return scaled(parts) if node.op == "PRelu" else opaque(parts)

    def _reduction(self, node: Node) -> list[Numbers]:
        rank = len(self.ctx.shape(node.inputs[0]))
        axes = reduced_axes(node, self.ctx.graph.opset, rank)
        if axes is None:
            return []
        x = self.of(node.inputs[0]).collapse(axes)
        if not node.attribute("keepdims", self.ctx.graph.opset, 1):
            left = [size for axis, size in enumerate(x.shape) if axis not in axes]
            x = x.map(lambda array: array.reshape(left))
        return [x if node.op in _HOMOGENEOUS_REDUCTIONS else opaque([x])]


def _batch_norm(sweep: Numbering, node: Node) -> list[Numbers]:
    known = inference_norm(sweep.ctx.graph, node)
    shape = sweep.ctx.shape(node.inputs[0])
    if known is None or len(shape) < 2:
        return []
    x = sweep.of(node.inputs[0]).spread(shape, [1])
    scale, shift = (sweep.stored(on_axis(values, 1, len(shape))) for values in known)
    return [total([product([x, scale]), shift])]


def _instance_norm(sweep: Numbering, node: Node) -> list[Numbers]:
    shape = sweep.ctx.shape(node.inputs[0])
    if not all(tensor.is_constant for tensor in node.inputs[1:]):
        return []
    x = sweep.of(node.inputs[0]).collapse(range(2, len(shape))).spread(shape, [1])
    return [opaque([x, *(sweep.stored(on_axis(tensor.array, 1, len(shape))) for tensor in node.inputs[1:])])]


def _dropout(sweep: Numbering, node: Node) -> list[Numbers]:
    """In training every channel would be masked in its own way."""
    trains = len(node.inputs) > 2 and bool(node.inputs[2].name)
    return [] if trains else [sweep.of(node.inputs[0])]


def _resize(sweep: Numbering, node: Node) -> list[Numbers]:
    """Interpolation is linear; only a region of interest may bring in a constant from outside."""
    old, new = sweep.ctx.shape(node.inputs[0]), sweep.ctx.shape(node.outputs[0])
    mode = str(node.attribute("coordinate_transformation_mode", sweep.ctx.graph.opset, "half_pixel"))
    x = sweep.of(node.inputs[0]).collapse([axis for axis in range(len(old)) if old[axis] != new[axis]])
    return [] if mode == "tf_crop_and_resize" else [x]


def _pad(sweep: Numbering, node: Node) -> list[Numbers]:
    """Zeros scale with everything; another constant around a channel makes it more than its factor."""
    shape = sweep.ctx.shape(node.inputs[0])
    added = padding(node, sweep.ctx.graph.opset, len(shape))
    if added is None or added.value is None:
        return []
    x = sweep.of(node.inputs[0])
    literal = [axis for axis in added.axes if axis == 1 or x.shape[axis] > 1]
    if any(min(added.widths[axis]) < 0 for axis in literal):
        return []
    if added.mode != "constant":
        return [] if literal else [x]
    x = opaque([x]) if len(added.axes) > len(literal) and added.value else x
    spans = [width if axis in literal else (0, 0) for axis, width in enumerate(added.widths)]
    border = sweep.stored(np.asarray(added.value))
    x = x.spread(shape, literal)
    number = np.pad(x.number, spans, constant_values=int(border.number))
    return [Numbers(number, np.pad(x.factor, spans, constant_values=float(border.factor)), x.counter)]


_SPECIAL: dict[str, Callable[[Numbering, Node], list[Numbers]]] = {
    "BatchNormalization": _batch_norm,
    "Dropout": _dropout,
    "InstanceNormalization": _instance_norm,
    "Pad": _pad,
    "Resize": _resize,
    "Upsample": _resize,
}
