"""Constant channels: which channels have one value for every input, and which value.

Every tensor carries an array that broadcasts to its shape, NaN where nothing is known. A weight row of zeros makes its
bias, padding makes its own value, and functions of constants are evaluated.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ...ir.arguments import axis as axis_of
from ...ir.arguments import padding, reduced_axes
from ...ir.geometry import geometry
from ...ir.graph import Array, Node
from ...ir.shapes import Shape
from ..analysis.channels.rules import normalisation
from ..analysis.channels.rules.table import RULES
from .affine import inference_norm
from .constant_functions import FUNCTIONS
from .facts import FactSweep, on_axis
from .layer import Layer, layer_of
from .movement import moved


@dataclass(frozen=True)
class Constants:
    """Values (float64) of one tensor, NaN where unknown. An entry holds for every index of an axis of size 1."""

    values: Array

    @property
    def shape(self) -> Shape:
        """Size of every axis."""
        return tuple(self.values.shape)

    def map(self, move: Callable[[Array], Array]) -> Constants:
        """Move the values."""
        return Constants(move(self.values))

    def spread(self, extent: Shape, axes: Sequence[int]) -> Constants:
        """Repeat values along these axes."""
        form = [extent[axis] if axis in axes else size for axis, size in enumerate(self.shape)]
        return Constants(np.broadcast_to(self.values, form))

    def collapse(self, axes: Sequence[int]) -> Constants:
        """Keep values that are the same all along these axes."""
        first = self.values[tuple(slice(0, 1) if axis in axes else slice(None) for axis in range(self.values.ndim))]
        same = (self.values == first).all(tuple(axes), keepdims=True)
        return Constants(np.where(same, first, np.nan))

    def join(self, others: Sequence[Constants], axis: int) -> Constants:
        """Put values end to end."""
        return Constants(np.concatenate([self.values, *(other.values for other in others)], axis))

    def zeros(self) -> Constants:
        """Keep zeros only."""
        return Constants(np.where(self.values == 0, 0.0, np.nan))


class ConstantChannels(FactSweep[Constants]):
    """The constants of every tensor of a graph."""

    def unknown(self, rank: int) -> Constants:
        """Return one unknown value."""
        return Constants(np.full((1,) * rank, np.nan))

    def stored(self, array: Array) -> Constants:
        """Return a constant's own values."""
        return Constants(array.astype(np.float64))

    def rule(self, node: Node) -> Sequence[Constants]:
        """Evaluate a node on what is known of its inputs; infinities count as unknown."""
        with np.errstate(all="ignore"):
            found = self._found(node)
        return [facts.map(lambda values: np.where(np.isfinite(values), values, np.nan)) for facts in found]

    def _found(self, node: Node) -> Sequence[Constants]:
        layer = layer_of(self.ctx.graph, node, sighted=True)
        if layer is not None:
            return [self._layer(layer)]
        if node.op in _SPECIAL:
            return _SPECIAL[node.op](self, node)
        if RULES.get(node.op) is normalisation.pooling:
            return [self._pool(node)]
        if node.op in FUNCTIONS:
            arrays = [self.of(tensor).values if tensor.name else None for tensor in node.inputs]
            result = FUNCTIONS[node.op](node, self.ctx.graph.opset, arrays)
            rank = len(self.ctx.shape(node.outputs[0]))
            return [Constants(result.reshape((1,) * (rank - result.ndim) + result.shape))]
        return moved(self.ctx, node, [self.of(tensor) for tensor in node.inputs if tensor.name])

    def _layer(self, layer: Layer) -> Constants:
        """Add up constant inputs; an output is constant if it reads no other."""
        rank = len(self.ctx.shape(layer.node.outputs[0]))
        bias = layer.bias if layer.biased else np.zeros(layer.outputs)
        if bias is None or rank < -layer.axis_out or len(self.ctx.shape(layer.source)) < -layer.axis_in:
            return self.unknown(rank)
        x = self.along(layer.source, layer.axis_in).values
        usable = np.where(x == 0, 0.0, np.nan) if layer.uneven else x
        rows = constant_rows(layer.matrix, usable)
        return Constants(on_axis(layer.gain * rows + bias, layer.axis_out, rank))

    def _pool(self, node: Node) -> Constants:
        rank = len(self.ctx.shape(node.inputs[0]))
        x = self.of(node.inputs[0]).collapse(range(2, rank))
        return x if node.op in _MEANS or _unpadded_average(node, self.ctx.graph.opset) else x.zeros()


def constant_rows(matrix: Array, inputs: Array) -> Array:
    """Return ``Σ W x`` (groups · rows,) for constant inputs (groups · columns,), NaN where an unknown input is read."""
    groups, rows, columns, _ = matrix.shape
    result = np.zeros((groups, rows))
    for group, x in enumerate(inputs.reshape(groups, columns)):
        unknown = np.isnan(x)
        result[group][(matrix[group][:, unknown] != 0).any((1, 2))] = np.nan
        given = np.flatnonzero(~unknown & (x != 0))
        result[group] += matrix[group][:, given].sum(2, dtype=np.float64) @ x[given]
    return result.ravel()


def _unpadded_average(node: Node, opset: int) -> bool:
    if node.op != "AveragePool" or node.attribute("ceil_mode", opset, 0):
        return False
    padded = geometry(node, opset, node.attribute("kernel_shape", opset)).may_pad
    return not padded or not node.attribute("count_include_pad", opset, 0)


def _batch_norm(sweep: ConstantChannels, node: Node) -> list[Constants]:
    known, rank = inference_norm(sweep.ctx.graph, node), len(sweep.ctx.shape(node.inputs[0]))
    if known is None or rank < 2:
        return []
    scale, shift = (on_axis(values, 1, rank) for values in known)
    x = sweep.of(node.inputs[0]).values
    return [Constants(np.where(scale == 0, 0.0, x * scale) + shift)]


def _instance_norm(sweep: ConstantChannels, node: Node) -> list[Constants]:
    """A channel with one value everywhere, and one that is scaled by 0, gives its shift."""
    scale, shift = (sweep.of(tensor).values for tensor in node.inputs[1:3])
    rank = len(sweep.ctx.shape(node.inputs[0]))
    x = sweep.of(node.inputs[0]).collapse(range(2, rank)).values
    still = ~np.isnan(x) | (on_axis(scale, 1, rank) == 0)
    return [Constants(np.where(still, on_axis(shift, 1, rank), np.nan))]


def _quantise(sweep: ConstantChannels, node: Node) -> list[Constants]:
    """QuantizeLinear, which rounds as onnxruntime does, in float32, and DequantizeLinear."""
    parameters = [tensor for tensor in node.inputs[1:] if tensor.name]
    if any(not tensor.is_constant or tensor.array.ndim > 1 for tensor in parameters):
        return []
    limits = _limits(node)
    if node.op == "QuantizeLinear" and limits is None:
        return []
    x, rank = sweep.of(node.inputs[0]).values, len(sweep.ctx.shape(node.inputs[0]))
    place = axis_of(node, sweep.ctx.graph.opset, rank)
    stored = [tensor.array.astype(np.float32) for tensor in parameters]
    scale, shift = (
        values.reshape([-1 if axis == place and values.size > 1 else 1 for axis in range(rank)])
        for values in (*stored, np.zeros((), np.float32))[:2]
    )
    if limits is None or node.op == "DequantizeLinear":
        return [Constants(((x.astype(np.float32) - shift) * scale).astype(np.float64))]
    return [Constants(np.clip(np.round(x.astype(np.float32) / scale) + shift, *limits).astype(np.float64))]


def _limits(node: Node) -> tuple[int, int] | None:
    """Return the least and the largest of a QuantizeLinear's integers; None of another type."""
    given = node.inputs[2] if len(node.inputs) > 2 and node.inputs[2].name else None
    kind = np.dtype(np.uint8 if given is None else given.dtype)
    if kind.kind not in "iu" or (given is None and node.attribute("output_dtype", _TYPED, 0)):
        return None
    return int(np.iinfo(kind).min), int(np.iinfo(kind).max)


def _dropout(sweep: ConstantChannels, node: Node) -> list[Constants]:
    trains = len(node.inputs) > 2 and bool(node.inputs[2].name)
    return [] if trains else [sweep.of(node.inputs[0])]


def _pad(sweep: ConstantChannels, node: Node) -> list[Constants]:
    """Along channels the padding makes constants of its own; around them it must agree with the value."""
    extent = sweep.ctx.shape(node.inputs[0])
    added = padding(node, sweep.ctx.graph.opset, len(extent))
    if added is None or added.value is None or added.mode != "constant":
        return []
    value, x = added.value, sweep.of(node.inputs[0])
    literal = [axis for axis in added.axes if axis == 1 or x.shape[axis] > 1]
    if any(min(added.widths[axis]) < 0 for axis in literal):
        return []
    if len(added.axes) > len(literal):
        x = Constants(np.where(x.values == value, value, np.nan))
    widths = [width if axis in literal else (0, 0) for axis, width in enumerate(added.widths)]
    return [x.spread(extent, literal).map(lambda values: np.pad(values, widths, constant_values=value))]


def _resize(sweep: ConstantChannels, node: Node) -> list[Constants]:
    old, new = sweep.ctx.shape(node.inputs[0]), sweep.ctx.shape(node.outputs[0])
    mode = str(node.attribute("coordinate_transformation_mode", sweep.ctx.graph.opset, "half_pixel"))
    x = sweep.of(node.inputs[0]).collapse([axis for axis in range(len(old)) if old[axis] != new[axis]])
    return [] if mode == "tf_crop_and_resize" else [x]


def _reduce(sweep: ConstantChannels, node: Node) -> list[Constants]:
    x = sweep.of(node.inputs[0])
    axes = reduced_axes(node, sweep.ctx.graph.opset, len(x.shape))
    if axes is None:
        return []
    x = x.collapse(axes) if node.op in ("ReduceMean", "ReduceMax", "ReduceMin") else x.collapse(axes).zeros()
    if not node.attribute("keepdims", sweep.ctx.graph.opset, 1):
        left = [size for axis, size in enumerate(x.shape) if axis not in axes]
        x = x.map(lambda values: values.reshape(left))
    return [x]


def _plane(sweep: ConstantChannels, node: Node) -> list[Constants]:
    """Crops, and samples of a plane, of zeros are zeros, whatever they put around it."""
    old, new = sweep.ctx.shape(node.inputs[0]), sweep.ctx.shape(node.outputs[0])
    others = [axis for axis in range(len(old)) if axis != 1]
    return [sweep.of(node.inputs[0]).collapse(others).zeros()] if old[1:2] == new[1:2] else []


def _deformed(sweep: ConstantChannels, node: Node) -> list[Constants]:
    """A DeformConv that reads zeros alone gives its bias."""
    weight, bias = node.inputs[1], node.inputs[3] if len(node.inputs) > 3 and node.inputs[3].name else None
    if not weight.is_constant or not (bias is None or bias.is_constant):
        return []
    array, group = weight.array, int(node.attribute("group", sweep.ctx.graph.opset, 1))
    matrix = array.reshape(group, -1, array.shape[1], int(np.prod(array.shape[2:])))
    zeros = sweep.of(node.inputs[0]).collapse([0, 2, 3]).zeros().values
    x = np.broadcast_to(zeros.ravel(), (group * array.shape[1],))
    rows = constant_rows(matrix, x) + (0.0 if bias is None else bias.array)
    return [Constants(on_axis(rows, 1, zeros.ndim))]


_TYPED = 21  # the operator set since which QuantizeLinear may name its type
_MEANS = {"GlobalAveragePool", "GlobalMaxPool", "MaxPool"}

_SPECIAL: dict[str, Callable[[ConstantChannels, Node], list[Constants]]] = {
    "BatchNormalization": _batch_norm,
    **dict.fromkeys(("CenterCropPad", "GridSample"), _plane),
    "DeformConv": _deformed,
    "DequantizeLinear": _quantise,
    "Dropout": _dropout,
    "InstanceNormalization": _instance_norm,
    "Pad": _pad,
    "QuantizeLinear": _quantise,
    **dict.fromkeys(("ReduceL1", "ReduceL2", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceSum"), _reduce),
    "Resize": _resize,
    "Upsample": _resize,
}
