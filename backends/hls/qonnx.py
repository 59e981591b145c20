"""A network with its types in QONNX's form (arXiv:2206.07527), channels first: the way to FINN and Chisel4ml.

Every weight stands behind a ``Quant`` node, and so does every result that is rounded. QONNX rounds halves to even and
``ap_fixed`` upwards, so half the least step of a sum is added before it is rounded: then there are no halves. Results
are the hardware's as long as sums have at most 24 bits, for QONNX computes in float32; sigmoid and tanh are written as
such, where hardware looks them up in tables.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from ...ir.qonnx import DOMAIN
from .dialect import OPERATORS
from .fixed import Fixed, either_type, holding, product_type, sum_type
from .network import (
    Activation,
    Addition,
    Affine,
    Concatenation,
    Convolution,
    Dense,
    Flatten,
    Floats,
    Input,
    Layer,
    Multiplication,
    Network,
    Pooling,
    Shape,
    Stuffing,
    Upsampling,
)
from .precision import Precision, Types

_IR_VERSION = 8
_OPSET = 13


def qonnx(network: Network, precision: Precision) -> onnx.ModelProto:
    """Return the model of a network whose weights lie on the grids of ``precision``, for a batch of one.

    Inputs and outputs are called as those of the ONNX model that the network comes from, or as their layers; each has
    its layer's values, (1, C, H, W) or (1, N).
    """
    writer = _Writer(network, precision)
    for layer in network.layers:
        read = [writer.tensors[name] for name in layer.inputs]
        computed = _WRITERS[type(layer)](writer, layer, read)
        writer.tensors[layer.name] = writer.rounded(layer, computed)
    inputs = [writer.described(port(layer)) for layer in network.layers if isinstance(layer, Input)]
    outputs = [writer.output(index) for index in range(len(network.outputs))]
    outer = {value.name for value in (*inputs, *outputs)}
    inner = [writer.described(tensor) for tensor in writer.shapes if tensor not in outer]
    graph = helper.make_graph(writer.nodes, "network", inputs, outputs, writer.constants, value_info=inner)
    opsets = [helper.make_opsetid("", _OPSET), helper.make_opsetid(DOMAIN, 1)]
    model = helper.make_model(graph, opset_imports=opsets, producer_name="optimise-onnx")
    model.ir_version = _IR_VERSION
    return model


def channels_first(values: Floats) -> Floats:
    """Bring a layer's values (n, H, W, C) to (n, C, H, W), as the model has them; vectors stay as they are."""
    return np.moveaxis(values, -1, 1)


@dataclass
class _Writer:
    network: Network
    precision: Precision
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: list[onnx.TensorProto] = field(default_factory=list)
    shapes: dict[str, Sequence[int]] = field(default_factory=dict)
    tensors: dict[str, str] = field(default_factory=dict)
    """The tensor that carries each layer's value."""

    def node(self, op_type: str, inputs: Sequence[str], name: str, shape: Sequence[int], **attributes: Any) -> str:
        """Add a node, its only output named as itself; return that."""
        self.nodes.append(helper.make_node(op_type, inputs, [name], name, **attributes))
        self.shapes[name] = shape
        return name

    def constant(self, name: str, values: Floats | float) -> str:
        self.constants.append(numpy_helper.from_array(np.asarray(values, np.float32), name))
        return name

    def sizes(self, name: str, sizes: Sequence[int]) -> str:
        """Add a constant of whole numbers."""
        self.constants.append(numpy_helper.from_array(np.asarray(sizes, np.int64), name))
        return name

    def quant(self, tensor: str, name: str, grid: Fixed, rounding: str) -> str:
        """Add the node that brings a tensor onto a grid."""
        numbers = {"scale": grid.step, "zero": 0.0, "bits": float(grid.width)}
        inputs = [tensor, *(self.constant(f"{name}_{key}", number) for key, number in numbers.items())]
        modes = {"signed": int(grid.signed), "narrow": int(grid.symmetric), "rounding_mode": rounding}
        return self.node("Quant", inputs, name, self.shapes[tensor], domain=DOMAIN, **modes)

    def stored(self, name: str, values: Floats, grid: Fixed | None = None) -> str:
        """Add constants that lie on a grid, by default the narrowest that holds them."""
        self.shapes[self.constant(f"{name}_stored", values)] = values.shape
        return self.quant(f"{name}_stored", name, grid or holding(values), "ROUND")

    def shifted(self, layer: Layer, shift: Floats) -> Floats:
        """Return a bias with half a step of the sums, where halves would be rounded."""
        return shift + self._half(self.precision[layer.name].result, self._exact(layer))

    def rounded(self, layer: Layer, tensor: str) -> str:
        """Bring what a layer computes onto the grid of its result, unless it lies there already."""
        result, exact = self.precision[layer.name].result, self._exact(layer)
        if exact is not None and _holds(result, exact):
            return tensor
        half = 0.0 if isinstance(layer, Convolution | Dense | Affine) else self._half(result, exact)
        if half:
            constant = self.stored(f"{layer.name}_half", np.full(1, half))
            tensor = self.node("Add", [tensor, constant], f"{layer.name}_up", self.shapes[tensor])
        nearest = result.rounds or result.even
        return self.quant(tensor, f"{layer.name}_rounded", result, "ROUND" if nearest else "FLOOR")

    def described(self, tensor: str) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(tensor, TensorProto.FLOAT, self.shapes[tensor])

    def output(self, index: int) -> onnx.ValueInfoProto:
        """Add an output, by its own name."""
        tensor = self.tensors[self.network.outputs[index]]
        name = self.network.ports[index].tensor if self.network.ports else f"{self.network.outputs[index]}_output"
        return self.described(self.node("Identity", [tensor], name, self.shapes[tensor]))

    def _half(self, result: Fixed, exact: Fixed | None) -> float:
        if exact is None or result.even or not result.rounds or exact.fraction <= result.fraction:
            return 0.0
        return exact.step / 2

    def _exact(self, layer: Layer) -> Fixed | None:
        """Return the type of what a layer computes before it is rounded, None where it has none."""
        return _exact(layer, [self.precision[name].result for name in layer.inputs], self.precision[layer.name])


def _exact(layer: Layer, inputs: Sequence[Fixed], types: Types) -> Fixed | None:
    match layer:
        case Convolution() | Dense() | Affine() | Pooling(kind="average"):
            return types.accumulator
        case Addition():
            return sum_type(*inputs)
        case Multiplication():
            return product_type(*inputs)
        case Concatenation():
            return either_type(*inputs)
        case Activation(kind="leaky_relu"):
            assert types.weight is not None
            return either_type(inputs[0], product_type(inputs[0], types.weight))
        case Activation(kind="relu"):
            return _positive(inputs[0])
        case Activation(kind="clip") | Pooling() | Flatten() | Stuffing() | Upsampling():
            return inputs[0]
    return None


def _positive(grid: Fixed) -> Fixed:
    return replace(grid, width=grid.width - grid.signed, integer=grid.integer - grid.signed, signed=False)


def _holds(result: Fixed, values: Fixed) -> bool:
    return result.fraction >= values.fraction and result.low <= values.low and result.high >= values.high


def _first(shape: Shape) -> tuple[int, ...]:
    return (1, shape[-1], *shape[:-1])


def port(layer: Input) -> str:
    """Return what an input is called in the model."""
    return layer.port.tensor if layer.port is not None else layer.name


def _input(writer: _Writer, layer: Layer, inputs: Sequence[str]) -> str:
    assert isinstance(layer, Input)
    writer.shapes[port(layer)] = _first(layer.shape)
    return port(layer)


def _convolution(writer: _Writer, layer: Layer, inputs: Sequence[str]) -> str:
    assert isinstance(layer, Convolution)
    types = writer.precision[layer.name]
    kernel = layer.kernel.transpose((2, 3, 0, 1) if layer.depthwise else (3, 2, 0, 1))
    weight = writer.stored(f"{layer.name}_weight", kernel, types.weight)
    bias = writer.stored(f"{layer.name}_bias", writer.shifted(layer, layer.bias))
    return writer.node(
        "Conv",
        [*inputs, weight, bias],
        layer.name,
        _first(layer.shape),
        kernel_shape=list(kernel.shape[2:]),
        strides=list(layer.strides),
        pads=list(layer.pads),
        group=len(kernel) if layer.depthwise else 1,
    )


def _dense(writer: _Writer, layer: Layer, inputs: Sequence[str]) -> str:
    assert isinstance(layer, Dense)
    weight = writer.stored(f"{layer.name}_weight", layer.weight, writer.precision[layer.name].weight)
    product = writer.node("MatMul", [*inputs, weight], f"{layer.name}_product", _first(layer.shape))
    bias = writer.stored(f"{layer.name}_bias", writer.shifted(layer, layer.bias))
    return writer.node("Add", [product, bias], layer.name, _first(layer.shape))


def _affine(writer: _Writer, layer: Layer, inputs: Sequence[str]) -> str:
    """A layer that only rounds, as a quantiser of the model does, needs no product."""
    assert isinstance(layer, Affine)
    channels, shape = (1, -1, *[1] * (len(layer.shape) - 1)), _first(layer.shape)
    (tensor,) = inputs
    if np.any(layer.scale != 1):
        scale = writer.stored(f"{layer.name}_weight", layer.scale.reshape(channels))
        tensor = writer.node("Mul", [tensor, scale], f"{layer.name}_product", shape)
    if np.any(shift := writer.shifted(layer, layer.shift)):
        added = writer.stored(f"{layer.name}_bias", shift.reshape(channels))
        tensor = writer.node("Add", [tensor, added], layer.name, shape)
    return tensor


def _pooling(writer: _Writer, layer: Layer, inputs: Sequence[str]) -> str:
    """A mean is cut to its accumulator's step first, towards zero, as the hardware's division does."""
    assert isinstance(layer, Pooling)
    window = {"kernel_shape": list(layer.size), "strides": list(layer.strides), "pads": list(layer.pads)}
    op = "MaxPool" if layer.kind == "max" else "AveragePool"
    tensor = writer.node(op, inputs, layer.name, _first(layer.shape), **window)
    count, grid = prod(layer.size), writer.precision[layer.name].accumulator
    if layer.kind == "max" or grid is None or (count & (count - 1) == 0 and not any(layer.pads)):
        return tensor
    return writer.quant(tensor, f"{layer.name}_cut", grid, "DOWN")


def _activation(writer: _Writer, layer: Layer, inputs: Sequence[str]) -> str:
    assert isinstance(layer, Activation)
    if layer.kind == "clip":
        ends = [writer.constant(f"{layer.name}_{index}", end) for index, end in enumerate(layer.parameters)]
        return writer.node("Clip", [*inputs, *ends], layer.name, _first(layer.shape))
    slope = {"alpha": layer.parameters[0]} if layer.parameters else {}
    return writer.node(OPERATORS[layer.kind], inputs, layer.name, _first(layer.shape), **slope)


def _concatenation(writer: _Writer, layer: Layer, inputs: Sequence[str]) -> str:
    return writer.node("Concat", inputs, layer.name, _first(layer.shape), axis=1)


def _upsampling(writer: _Writer, layer: Layer, inputs: Sequence[str]) -> str:
    assert isinstance(layer, Upsampling)
    (tensor,) = inputs
    if len(writer.shapes[tensor]) == 2:
        shape = (1, layer.shape[-1], 1, 1)
        tensor = writer.node(
            "Reshape", [tensor, writer.sizes(f"{layer.name}_form", shape)], f"{layer.name}_pixel", shape
        )
    nothing = writer.constant(f"{layer.name}_roi", np.zeros(0))
    scales = writer.constant(f"{layer.name}_scales", np.array([1, 1, *layer.factors], np.float64))
    modes = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    return writer.node("Resize", [tensor, nothing, scales], layer.name, _first(layer.shape), **modes)


def _stuffing(writer: _Writer, layer: Layer, inputs: Sequence[str]) -> str:
    """A transposed convolution that takes each pixel once."""
    assert isinstance(layer, Stuffing)
    kernel = np.zeros((layer.shape[-1], 1, *layer.factors))
    kernel[:, :, 0, 0] = 1
    weight = writer.constant(f"{layer.name}_weight", kernel)
    steps = {"kernel_shape": list(layer.factors), "strides": list(layer.factors), "group": layer.shape[-1]}
    return writer.node("ConvTranspose", [*inputs, weight], layer.name, _first(layer.shape), **steps)


def _flatten(writer: _Writer, layer: Layer, inputs: Sequence[str]) -> str:
    """A map is read channels fastest."""
    rows, columns, channels = writer.network.by_name[layer.inputs[0]].shape
    (tensor,) = inputs
    if rows * columns > 1 and channels > 1:
        shape = (1, rows, columns, channels)
        tensor = writer.node("Transpose", [tensor], f"{layer.name}_last", shape, perm=[0, 2, 3, 1])
    return writer.node("Flatten", [tensor], layer.name, _first(layer.shape))


_WRITERS: dict[type[Layer], Callable[[_Writer, Layer, Sequence[str]], str]] = {
    Activation: _activation,
    Addition: lambda writer, layer, inputs: writer.node("Add", inputs, layer.name, _first(layer.shape)),
    Affine: _affine,
    Concatenation: _concatenation,
    Convolution: _convolution,
    Dense: _dense,
    Flatten: _flatten,
    Input: _input,
    Multiplication: lambda writer, layer, inputs: writer.node("Mul", inputs, layer.name, _first(layer.shape)),
    Pooling: _pooling,
    Stuffing: _stuffing,
    Upsampling: _upsampling,
}
