"""Linear layers as matrices: Conv, Gemm and MatMul with stored weights seen as ``y = x W + b``, group by group.

``x`` is (g, rows, d), ``W`` is (g, d, m), ``y`` is (g, rows, m): g groups (1 for an ordinary layer, C for a depthwise
one), d = inputs times taps, channel-major.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx.helper

from ....ir.arguments import axis, permutation
from ....ir.geometry import Geometry, geometry
from ....ir.graph import Array, Graph, Node, Tensor
from ....ir.qonnx import QUANTISERS, stored_codes
from ....ir.shapes import Shape
from ..channels.labels import SEEN_THROUGH
from ..statistics.moments import conv_patches


@dataclass(frozen=True)
class Linear:
    """One layer: names of its node, input and output, the place of the weight, and how arrays become matrices.

    ``fan_in`` is d and ``fan_out`` is m of one group. ``transposed``: the stored weight is (m, d). ``columns``: the
    input's features lie on axis -2 instead of -1.
    """

    node: str
    input: str
    output: str
    weight_index: int
    groups: int
    fan_in: int
    fan_out: int
    geometry: Geometry | None = None
    transposed: bool = False
    columns: bool = False

    @property
    def taps(self) -> int:
        """How many positions of an input channel one output reads."""
        return int(np.prod(self.geometry.kernel)) if self.geometry is not None else 1

    @property
    def features(self) -> int:
        """The axis of input and output that the layer mixes: that of channels."""
        if self.geometry is not None:
            return 1
        return -2 if self.columns else -1

    def positions(self, sizes: Sequence[int]) -> int:
        """How many output positions an input of these spatial sizes gives; 1 for a product."""
        return self.geometry.positions(sizes) if self.geometry is not None else 1

    def rows(self, x: Array, positions: Array | None = None) -> Array:
        """Lay out inputs as (g, rows, d), at sampled output positions for a convolution."""
        if self.geometry is None:
            return self._features(x)
        walk = self.geometry
        begin, end = walk.pads(x.shape[2:])
        flat = conv_patches(x, walk.kernel, walk.strides, begin, end, walk.dilations, positions)
        return flat.reshape(len(flat), self.groups, -1).transpose(1, 0, 2)

    def outputs(self, y: Array, positions: Array | None = None) -> Array:
        """Lay out outputs as (g, rows, m), rows in the order of :meth:`rows`."""
        if self.geometry is None:
            return self._features(y)
        flat = y.reshape(*y.shape[:2], -1)
        picked = flat if positions is None else np.take_along_axis(flat, positions[:, None, :], 2)
        rows = picked.transpose(0, 2, 1).reshape(-1, y.shape[1])
        return rows.reshape(len(rows), self.groups, -1).transpose(1, 0, 2)

    def _features(self, values: Array) -> Array:
        last = np.moveaxis(values, -2, -1) if self.columns else values
        return last.reshape(1, -1, last.shape[-1])

    def matrix(self, weight: Array) -> Array:
        """Return the weight as (g, d, m) in float64, a fresh array."""
        values = weight.astype(np.float64)
        if self.geometry is None:
            return (values.T if self.transposed else values)[None]
        return values.reshape(self.groups, self.fan_out, -1).transpose(0, 2, 1)

    def weight(self, matrix: Array, like: Array) -> Array:
        """Turn (g, d, m) back into the stored form of ``like``."""
        if self.geometry is None:
            values = matrix[0].T if self.transposed else matrix[0]
        else:
            values = matrix.transpose(0, 2, 1).reshape(like.shape)
        return np.ascontiguousarray(values, dtype=like.dtype)


def spatial_sizes(layer: Linear, shapes: Mapping[str, Shape]) -> tuple[int, ...]:
    """Return the spatial sizes of what a convolution reads, () for a product."""
    return tuple(shapes[layer.input][2:]) if layer.geometry is not None else ()


def linear_layers(graph: Graph, shapes: Mapping[str, Shape]) -> dict[str, Linear]:
    """Find every layer that can be seen as a matrix, by node name, in topological order."""
    found = {}
    for node in graph.nodes:
        layer = None if node.domain else _linear(node, shapes, graph.opset)
        if layer is not None:
            found[node.name] = layer
    return found


def takes_bias(node: Node) -> bool:
    """Whether the third input of a linear operator is a bias; one without gets an Add behind it."""
    return not node.domain and node.op in OPERATORS and OPERATORS[node.op].biased


def adds_two(node: Node) -> bool:
    """Whether a node adds two tensors: as Add, or as Sum, which onnxruntime does not join with a product before it."""
    return not node.domain and node.op in ("Add", "Sum") and len(node.inputs) == 2


def _linear(node: Node, shapes: Mapping[str, Shape], opset: int) -> Linear | None:
    operator = OPERATORS.get(node.op)
    if operator is None:
        return None
    operands = node.inputs[:2]
    known = [is_stored(tensor) for tensor in operands]
    if known[0] == known[1] or (known[0] and not operator.either_side):
        return None
    index = int(known[1])
    x, weight = operands[1 - index].name, _stored_shape(operands[index], opset)
    if x not in shapes or node.outputs[0].name not in shapes:
        return None
    return operator.layout(node, opset, (node.name, x, node.outputs[0].name, index), weight, len(shapes[x]))


_HELD = 2**28  # bytes of matrices that are kept for the next time
_Ends = tuple[str, str, str, int]


def _conv(node: Node, opset: int, ends: _Ends, weight: Shape, _rank: int) -> Linear | None:
    groups = int(node.attribute("group", opset, 1))
    return Linear(*ends, groups, int(np.prod(weight[1:])), weight[0] // groups, geometry(node, opset, weight[2:]))


def _gemm(node: Node, opset: int, ends: _Ends, weight: Shape, _rank: int) -> Linear | None:
    scales = [node.attribute(name, opset, 1.0) for name in ("alpha", "beta")]
    if len(weight) != 2 or scales != [1.0, 1.0] or node.attribute("transA", opset, 0):
        return None
    return _product(ends, weight, transposed=bool(node.attribute("transB", opset, 0)))


def _matmul(_node: Node, _opset: int, ends: _Ends, weight: Shape, rank: int) -> Linear | None:
    columns = ends[-1] == 0
    if len(weight) != 2 or (columns and rank < 2):
        return None
    return _product(ends, weight, transposed=columns, columns=columns)


def _product(ends: _Ends, weight: Shape, *, transposed: bool, columns: bool = False) -> Linear:
    fan_in, fan_out = weight[::-1] if transposed else weight
    return Linear(*ends, 1, fan_in, fan_out, transposed=transposed, columns=columns)


@dataclass(frozen=True)
class Operator:
    """How a linear operator lays its weight out: ``layout`` from the node, the opset, the names of its ends with the
    place of the weight, the weight's shape and the rank of what it reads; None where it does more than a layer.

    ``biased``: its third input is a bias; ``either_side``: the weight may be its first operand.
    """

    layout: Callable[[Node, int, _Ends, Shape, int], Linear | None]
    biased: bool = True
    either_side: bool = False


OPERATORS: Mapping[str, Operator] = {
    "Conv": Operator(_conv),
    "Gemm": Operator(_gemm),
    "MatMul": Operator(_matmul, biased=False, either_side=True),
}


def is_stored(tensor: Tensor) -> bool:
    """Whether the value lies in the model, maybe seen through casts, transpositions, dequantisation along one axis."""
    producer = tensor.producer
    if tensor.is_constant or producer is None or producer.qualified not in SEEN_THROUGH:
        return tensor.is_constant
    scales = [t for t in producer.inputs[1:] if t.name]
    if producer.qualified in QUANTISERS:
        return is_stored(producer.inputs[0]) and all(t.is_constant for t in scales)
    return is_stored(producer.inputs[0]) and all(t.is_constant and t.array.ndim < 2 for t in scales)


def stored_at(tensor: Tensor) -> Tensor:
    """Return the constant in which a tensor lies of which :func:`is_stored` holds."""
    producer = tensor.producer
    return tensor if tensor.is_constant or producer is None else stored_at(producer.inputs[0])


def axes_of(tensor: Tensor, opset: int) -> list[int]:
    """Return which axis of the constant of :func:`stored_at` every axis of a tensor is."""
    producer = tensor.producer
    if tensor.is_constant or producer is None:
        return list(range(tensor.array.ndim))
    inner = axes_of(producer.inputs[0], opset)
    return [inner[place] for place in permutation(producer, opset, len(inner))] if producer.op == "Transpose" else inner


def _stored_shape(tensor: Tensor, opset: int) -> Shape:
    extent = stored_at(tensor).array.shape
    return tuple(extent[place] for place in axes_of(tensor, opset))


def stored_array(tensor: Tensor, opset: int) -> Array:
    """Return the value of a tensor of which :func:`is_stored` holds."""
    node = tensor.producer
    if tensor.is_constant or node is None:
        return tensor.array
    values = stored_array(node.inputs[0], opset)
    if node.op == "Transpose":
        return values.transpose(permutation(node, opset, values.ndim))
    if node.qualified in QUANTISERS:
        codes, scale = stored_codes(node.qualified, node.attributes, values, *(t.array for t in node.inputs[1:]))
        return np.asarray(codes * scale, np.float32)
    if node.op == "Cast":
        return values.astype(onnx.helper.tensor_dtype_to_np_dtype(node.attributes["to"]))
    if node.op != "DequantizeLinear":
        return values
    place = axis(node, opset, values.ndim)
    scale, shift = (_along(t, place, values.ndim) for t in (*node.inputs[1:], None, None)[:2])
    return np.asarray((values.astype(np.float64) - shift) * scale, node.inputs[1].dtype)


def _along(parameter: Tensor | None, axis: int, rank: int) -> Array:
    """Shape a scale or zero point to broadcast along one axis; 0 for none."""
    if parameter is None or not parameter.name:
        return np.zeros(())
    values = parameter.array.astype(np.float64)
    return values.reshape([-1 if a == axis else 1 for a in range(rank)] if values.size > 1 else ())


def stored_weight(graph: Graph, node: Node, layer: Linear) -> Array:
    """Return the layer's weight, as floats when it is seen through a dequantisation."""
    return stored_array(node.inputs[layer.weight_index], graph.opset)


def stored_matrix(graph: Graph, name: str, layer: Linear, held: dict[str, Array]) -> Array:
    """Return the weight of the node called ``name`` as :meth:`Linear.matrix`; ``held`` keeps some for the next time."""
    if name in held:
        return held[name]
    matrix = layer.matrix(stored_weight(graph, graph.node(name), layer))
    if sum(array.nbytes for array in held.values()) + matrix.nbytes <= _HELD:
        held[name] = matrix
    return matrix
