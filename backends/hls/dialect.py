"""Network to ONNX as hls4ml's front end reads it: channels last, every shape stated, each tensor named as its layer.

Names matter: hls4ml renames a convolution ``c`` to ``Conv2D_c`` and a product ``d`` to ``Dense_d``, and its distributed
arithmetic looks layers up by tensor name.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from .network import (
    Activation,
    Addition,
    Affine,
    Concatenation,
    Convolution,
    Curve,
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

CHANNELS_LAST = "qonnx.custom_op.channels_last"

_IR_VERSION = 10
_OPSET = 13


def dialect(network: Network) -> onnx.ModelProto:
    """Return the model; weights are stored in double precision, so that 16-bit grids and wider survive."""
    writer = _Writer(network)
    for layer in network.layers:
        if not isinstance(layer, Input):
            read = [writer.tensors[name] for name in layer.inputs]
            writer.tensors[layer.name] = _WRITERS[type(layer)](writer, layer, read)
            continue
        writer.tensors[layer.name] = layer.name
        writer.shapes[layer.name] = layer.shape
    inputs = [writer.described(layer.name) for layer in network.layers if isinstance(layer, Input)]
    outputs = [writer.described(writer.tensors[name]) for name in in_order(network)]
    inner = writer.inner({value.name for value in (*inputs, *outputs)})
    graph = helper.make_graph(writer.nodes, "network", inputs, outputs, writer.constants, value_info=inner)
    opsets = [helper.make_opsetid("", _OPSET), helper.make_opsetid(CHANNELS_LAST, 1)]
    model = helper.make_model(graph, opset_imports=opsets, producer_name="optimise-onnx")
    model.ir_version = _IR_VERSION
    return model


def in_order(network: Network) -> list[str]:
    """Return the outputs as hls4ml orders them, which is that of the nodes."""
    return [layer.name for layer in network.layers if layer.name in network.outputs]


def bias_name(layer: Dense) -> str:
    """Return the node that adds a dense layer's bias."""
    return f"{layer.name}_bias"


def joins_bias(network: Network, layer: Dense) -> bool:
    """Whether the sum of a dense layer keeps all its bits, as only curves read it, so that its bias stays inside."""
    return layer.grid is None and all(isinstance(reader, Activation) for reader in network.readers(layer.name))


def clip_names(layer: Activation) -> tuple[str, str, str, str]:
    """Return the nodes about the first relu of b - relu(b - a - relu(x - a)), in order."""
    return f"{layer.name}_low", f"{layer.name}_room", f"{layer.name}_rest", f"{layer.name}_kept"


@dataclass
class _Writer:
    network: Network
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: list[onnx.TensorProto] = field(default_factory=list)
    shapes: dict[str, Sequence[int]] = field(default_factory=dict)
    tensors: dict[str, str] = field(default_factory=dict)
    """The tensor that carries each layer's value."""

    def node(
        self, op_type: str, inputs: Sequence[str], name: str, shape: Sequence[int], *, tensor: str = "", **rest: Any
    ) -> str:
        """Add a node, its only output named as itself unless told, and return that output."""
        self.nodes.append(helper.make_node(op_type, inputs, [tensor or name], name, **rest))
        self.shapes[tensor or name] = shape
        return tensor or name

    def constant(self, name: str, values: Floats) -> str:
        self.constants.append(numpy_helper.from_array(np.asarray(values, np.float64), name))
        return name

    def scaled(self, tensor: str, name: str, scale: Floats, shift: Floats) -> str:
        """Add scale (C,) times a tensor plus shift (C,), as a normalisation by mean 0 and variance 1."""
        vectors = {"scale": scale, "shift": shift, "mean": np.zeros_like(scale), "variance": np.ones_like(scale)}
        constants = [self.constant(f"{name}_{key}", vector) for key, vector in vectors.items()]
        shape = self.shapes[tensor]
        domain = CHANNELS_LAST if len(shape) > 1 else ""
        return self.node("BatchNormalization", [tensor, *constants], name, shape, domain=domain, epsilon=0.0)

    def reshaped(self, tensor: str, name: str, shape: Shape) -> str:
        """Read a map's pixels in other rows."""
        return self.node("Reshape", [tensor, self.sizes(f"{name}_form", [1, *shape])], name, shape)

    def padded(self, tensor: str, name: str, count: int) -> str:
        """Put zeros behind each row of a map."""
        rows, columns, channels = self.shapes[tensor]
        pads = self.sizes(f"{name}_pads", [0, 0, 0, 0, 0, 0, count, 0])
        return self.node("Pad", [tensor, pads], name, (rows, columns + count, channels))

    def sizes(self, name: str, sizes: Sequence[int]) -> str:
        self.constants.append(numpy_helper.from_array(np.asarray(sizes, np.int64), name))
        return name

    def described(self, tensor: str) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(tensor, TensorProto.DOUBLE, [1, *self.shapes[tensor]])

    def inner(self, outer: set[str]) -> list[onnx.ValueInfoProto]:
        """List the shapes of everything between inputs and outputs, constants too: hls4ml asks for each."""
        constants = [helper.make_tensor_value_info(c.name, c.data_type, list(c.dims)) for c in self.constants]
        return constants + [self.described(tensor) for tensor in self.shapes if tensor not in outer]


def _convolution(writer: _Writer, layer: Layer, inputs: Sequence[str]) -> str:
    assert isinstance(layer, Convolution)
    rows, columns, channels, _ = layer.kernel.shape
    depthwise = layer.depthwise and channels > 1
    kernel = layer.kernel.transpose((2, 0, 1, 3) if layer.depthwise else (3, 0, 1, 2))
    weight, bias = writer.constant(f"{layer.name}_w", kernel), writer.constant(f"{layer.name}_b", layer.bias)
    return writer.node(
        "Conv",
        [*inputs, weight, bias],
        layer.name,
        layer.shape,
        tensor=f"{'DepthwiseConv2D' if depthwise else 'Conv2D'}_{layer.name}",
        domain=CHANNELS_LAST,
        kernel_shape=[rows, columns],
        strides=list(layer.strides),
        pads=list(layer.pads),
        dilations=[1, 1],
        group=channels if depthwise else 1,
    )


def _dense(writer: _Writer, layer: Layer, inputs: Sequence[str]) -> str:
    """hls4ml takes the bias into the product only where the product's type is left open."""
    assert isinstance(layer, Dense)
    weight = writer.constant(f"{layer.name}_w", layer.weight)
    fused = joins_bias(writer.network, layer)
    tensor = f"{layer.name}_product" if fused else f"Dense_{layer.name}"
    product = writer.node("MatMul", [*inputs, weight], layer.name, layer.shape, tensor=tensor)
    if not fused:
        return writer.scaled(product, bias_name(layer), np.ones_like(layer.bias), layer.bias)
    bias = writer.constant(f"{layer.name}_b", layer.bias)
    return writer.node("Add", [product, bias], bias_name(layer), layer.shape, tensor=f"Dense_{layer.name}")


def _pooling(writer: _Writer, layer: Layer, inputs: Sequence[str]) -> str:
    assert isinstance(layer, Pooling)
    return writer.node(
        "MaxPool" if layer.kind == "max" else "AveragePool",
        inputs,
        layer.name,
        layer.shape,
        domain=CHANNELS_LAST,
        kernel_shape=list(layer.size),
        strides=list(layer.strides),
        pads=list(layer.pads),
    )


def _activation(writer: _Writer, layer: Layer, inputs: Sequence[str]) -> str:
    assert isinstance(layer, Activation)
    if layer.kind == "clip":
        return _clip(writer, layer, inputs)
    slope: dict[str, Any] = {"alpha": layer.parameters[0]} if layer.parameters else {}
    return writer.node(OPERATORS[layer.kind], inputs, layer.name, layer.shape, **slope)


def _clip(writer: _Writer, layer: Activation, inputs: Sequence[str]) -> str:
    """Write b - relu(b - a - relu(x - a)): hls4ml has no clip, and a and b on the grid make every step exact."""
    bottom, top = (np.full(layer.shape[-1], end) for end in layer.parameters)
    low, room, rest, kept = clip_names(layer)
    minus = -np.ones_like(top)
    (raised,) = inputs if not np.any(bottom) else (writer.scaled(inputs[0], low, -minus, -bottom),)
    positive = writer.node("Relu", [raised], layer.name, layer.shape)
    left = writer.scaled(positive, room, minus, top - bottom)
    return writer.scaled(writer.node("Relu", [left], rest, layer.shape), kept, minus, top)


def _affine(writer: _Writer, layer: Layer, inputs: Sequence[str]) -> str:
    assert isinstance(layer, Affine)
    return writer.scaled(inputs[0], layer.name, layer.scale, layer.shift)


def stuffing_names(layer: Stuffing) -> tuple[str, ...]:
    """Return the nodes that make a stuffing, in order: reshapes and zeros behind columns, then behind rows."""
    return tuple(f"{layer.name}_{part}" for part in ("pixels", "columns", "rows", "filled")) + (layer.name,)


def pixel_name(layer: Upsampling) -> str:
    """Return the node that makes a vector the only pixel of a map."""
    return f"{layer.name}_pixel"


def _upsampling(writer: _Writer, layer: Layer, inputs: Sequence[str]) -> str:
    """hls4ml's parser takes rows for columns, so it is told of a transposed map."""
    assert isinstance(layer, Upsampling)
    (tensor,) = inputs
    if len(writer.shapes[tensor]) == 1:
        tensor = writer.reshaped(tensor, pixel_name(layer), (1, 1, layer.shape[-1]))
    rows, columns, channels = writer.shapes[tensor]
    turned = writer.node("Identity", [tensor], f"{layer.name}_turned", (columns, rows, channels))
    nothing = writer.constant(f"{layer.name}_roi", np.zeros(1))  # hls4ml asks whether it is true
    scales = writer.constant(f"{layer.name}_scales", np.array([1, layer.factors[1], layer.factors[0], 1], np.float64))
    return writer.node("Resize", [turned, nothing, scales], layer.name, layer.shape, mode="nearest")


def _stuffing(writer: _Writer, layer: Layer, inputs: Sequence[str]) -> str:
    """Write zeros behind each pixel, then behind each row, as pads at the right of a map that is cut in other rows."""
    assert isinstance(layer, Stuffing)
    rows, columns, channels = writer.shapes[inputs[0]]
    down, across = layer.factors
    pixels, behind, lines, filled, whole = stuffing_names(layer)
    tensor = writer.reshaped(inputs[0], pixels, (rows * columns, 1, channels))
    tensor = writer.padded(tensor, behind, across - 1)
    tensor = writer.reshaped(tensor, lines, (rows, columns * across, channels))
    tensor = writer.padded(tensor, filled, (down - 1) * columns * across)
    return writer.reshaped(tensor, whole, layer.shape)


def _concatenation(writer: _Writer, layer: Layer, inputs: Sequence[str]) -> str:
    return writer.node("Concat", inputs, layer.name, layer.shape, axis=len(layer.shape))


OPERATORS: dict[Curve, str] = {
    "elu": "Elu",
    "leaky_relu": "LeakyRelu",
    "relu": "Relu",
    "sigmoid": "Sigmoid",
    "softplus": "Softplus",
    "softsign": "Softsign",
    "tanh": "Tanh",
}

_WRITERS: dict[type[Layer], Callable[[_Writer, Layer, Sequence[str]], str]] = {
    Activation: _activation,
    Addition: lambda writer, layer, inputs: writer.node("Add", inputs, layer.name, layer.shape),
    Affine: _affine,
    Concatenation: _concatenation,
    Convolution: _convolution,
    Dense: _dense,
    Flatten: lambda writer, layer, inputs: writer.node("Flatten", inputs, layer.name, layer.shape),
    Multiplication: lambda writer, layer, inputs: writer.node("Mul", inputs, layer.name, layer.shape),
    Pooling: _pooling,
    Stuffing: _stuffing,
    Upsampling: _upsampling,
}
