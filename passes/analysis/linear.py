"""Linear layers as matrices: Conv, Gemm and MatMul with stored weights seen as ``y = x W + b``, group by group.

``x`` is (g, rows, d), ``W`` is (g, d, m), ``y`` is (g, rows, m): g groups (1 for an ordinary layer, C for a depthwise
one), d = inputs times taps, channel-major.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ...ir.graph import Array, Graph, Node, Tensor
from ...ir.shapes import Shape
from .moments import conv_patches
from .rules.elementwise import static


@dataclass(frozen=True)
class Geometry:
    """How a convolution walks: one number a spatial axis."""

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    begin: tuple[int, ...]
    end: tuple[int, ...]
    dilations: tuple[int, ...]


@dataclass(frozen=True)
class Linear:
    """One layer: names of its node, input and output, the place of the weight, and how arrays become matrices.

    ``transposed``: the stored weight is (m, d). ``columns``: the input's features lie on axis -2 instead of -1.
    """

    node: str
    input: str
    output: str
    weight_index: int
    groups: int
    geometry: Geometry | None
    transposed: bool = False
    columns: bool = False

    def rows(self, x: Array, positions: Array | None = None) -> Array:
        """Lay out inputs as (g, rows, d), at sampled output positions for a convolution."""
        if self.geometry is None:
            features = np.moveaxis(x, -2, -1) if self.columns else x
            return features.reshape(1, -1, features.shape[-1])
        walk = self.geometry
        flat = conv_patches(x, walk.kernel, walk.strides, walk.begin, walk.end, walk.dilations, positions)
        return flat.reshape(len(flat), self.groups, -1).transpose(1, 0, 2)

    def outputs(self, y: Array, positions: Array | None = None) -> Array:
        """Lay out outputs as (g, rows, m), rows in the order of :meth:`rows`."""
        if self.geometry is None:
            features = np.moveaxis(y, -2, -1) if self.columns else y
            return features.reshape(1, -1, features.shape[-1])
        flat = y.reshape(*y.shape[:2], -1)
        picked = flat if positions is None else np.take_along_axis(flat, positions[:, None, :], 2)
        rows = picked.transpose(0, 2, 1).reshape(-1, y.shape[1])
        return rows.reshape(len(rows), self.groups, -1).transpose(1, 0, 2)

    def positions(self, y_shape: Shape) -> int:
        """How many output positions a sample has, 1 for layers that are not convolutions."""
        return int(np.prod(y_shape[2:])) if self.geometry is not None else 1

    def matrix(self, weight: Array) -> Array:
        """Return the weight as (g, d, m) in float64."""
        values = weight.astype(np.float64)
        if self.geometry is None:
            return (values.T if self.transposed else values)[None]
        return values.reshape(self.groups, weight.shape[0] // self.groups, -1).transpose(0, 2, 1)

    def weight(self, matrix: Array, like: Array) -> Array:
        """Turn (g, d, m) back into the stored form of ``like``."""
        if self.geometry is None:
            values = matrix[0].T if self.transposed else matrix[0]
        else:
            values = matrix.transpose(0, 2, 1).reshape(like.shape)
        return np.ascontiguousarray(values, dtype=like.dtype)


def linear_layers(graph: Graph, shapes: Mapping[str, Shape]) -> dict[str, Linear]:
    """Find every layer that can be seen as a matrix, by node name, in topological order."""
    found = {}
    for node in graph.nodes:
        layer = None if node.domain else _linear(node, shapes, graph.opset)
        if layer is not None:
            found[node.name] = layer
    return found


def _linear(node: Node, shapes: Mapping[str, Shape], opset: int) -> Linear | None:
    if node.op not in ("Conv", "Gemm", "MatMul") or any(t.name not in shapes for t in (*node.inputs[:2], *node.outputs)):
        return None
    left, right = node.inputs[:2]
    out = node.outputs[0].name
    if node.op == "Conv":
        group = int(node.attribute("group", opset, 1))
        walk = geometry(node, shapes[left.name], shapes[right.name], opset)
        return Linear(node.name, left.name, out, 1, group, walk) if static(right) else None
    if node.op == "Gemm":
        return _gemm(node, opset)
    if static(right) and len(shapes[right.name]) == 2 and not static(left):
        return Linear(node.name, left.name, out, 1, 1, None)
    if static(left) and len(shapes[left.name]) == 2 and len(shapes[right.name]) > 1 and not static(right):
        return Linear(node.name, right.name, out, 0, 1, None, transposed=True, columns=True)
    return None


def _gemm(node: Node, opset: int) -> Linear | None:
    left, right = node.inputs[:2]
    plain = node.attribute("alpha", opset, 1.0) == 1.0 and node.attribute("beta", opset, 1.0) == 1.0
    if not plain or static(left) or not static(right):
        return None
    columns = bool(node.attribute("transA", opset, 0))
    if columns:
        return None
    flip = bool(node.attribute("transB", opset, 0))
    return Linear(node.name, left.name, node.outputs[0].name, 1, 1, None, transposed=flip)


def geometry(node: Node, x: Shape, weight: Shape, opset: int) -> Geometry:
    """Read strides, dilations and pads of a convolution, automatic padding resolved."""
    dims = len(x) - 2
    strides = tuple(int(v) for v in node.attribute("strides", opset) or [1] * dims)
    dilations = tuple(int(v) for v in node.attribute("dilations", opset) or [1] * dims)
    kernel = tuple(weight[2:])
    mode = str(node.attribute("auto_pad", opset, "NOTSET"))
    if mode in ("NOTSET", ""):
        pads = [int(v) for v in node.attribute("pads", opset) or [0] * (2 * dims)]
        return Geometry(kernel, strides, tuple(pads[:dims]), tuple(pads[dims:]), dilations)
    if mode == "VALID":
        return Geometry(kernel, strides, (0,) * dims, (0,) * dims, dilations)
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    total = [max((-(-size // s) - 1) * s + r - size, 0) for size, s, r in zip(x[2:], strides, reach, strict=True)]
    small = tuple(t // 2 for t in total)
    large = tuple(t - t // 2 for t in total)
    return Geometry(kernel, strides, *((small, large) if mode == "SAME_UPPER" else (large, small)), dilations)


def stored_weight(graph: Graph, node: Node, layer: Linear) -> Array:
    """Return the weight as floats, seen through a dequantisation."""
    tensor = node.inputs[layer.weight_index]
    return tensor.array if tensor.is_constant else _dequantised(tensor, graph.opset)


def _dequantised(tensor: Tensor, opset: int) -> Array:
    node = tensor.producer
    assert node is not None
    if node.op != "DequantizeLinear":
        return node.inputs[0].array if node.inputs[0].is_constant else _dequantised(node.inputs[0], opset)
    values = node.inputs[0].array.astype(np.float64)
    axis = int(node.attribute("axis", opset, 1))
    form = [-1 if a == axis % values.ndim else 1 for a in range(values.ndim)]
    scale, *zero = (t.array.astype(np.float64) for t in node.inputs[1:] if t.name)
    shift = zero[0] if zero else np.zeros(1)
    scale, shift = (v.reshape(form) if v.size > 1 else v.reshape(()) if v.size else v for v in (scale, shift))
    return np.asarray((values - shift) * scale, np.float32)
