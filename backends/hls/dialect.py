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

from ...ir.errors import LoweringError
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
    Network,
    Pooling,
)

CHANNELS_LAST = "qonnx.custom_op.channels_last"

_IR_VERSION = 10
_OPSET = 13


def dialect(network: Network) -> onnx.ModelProto:
    """Return the model; weights are stored in double precision, so that 16-bit grids and wider survive.

    Raises LoweringError for a curve that hls4ml's front end has no operator for.
    """
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


def clip_names(layer: Activation) -> tuple[str, str, str]:
    """Return the nodes behind the first of the four that make a clip: b - relu(b - relu(x))."""
    return f"{layer.name}_room", f"{layer.name}_rest", f"{layer.name}_kept"


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

    def described(self, tensor: str) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(tensor, TensorProto.DOUBLE, [1, *self.shapes[tensor]])

    def inner(self, outer: set[str]) -> list[onnx.ValueInfoProto]:
        """List the shapes of everything between inputs and outputs, constants too: hls4ml asks for each."""
        constants = [helper.make_tensor_value_info(c.name, TensorProto.DOUBLE, list(c.dims)) for c in self.constants]
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
    if layer.kind == "clip" and layer.parameters[0] == 0:
        return _clip(writer, layer, inputs)
    if layer.kind not in _OPERATORS:
        raise LoweringError(
            "cannot be handed to hls4ml",
            node_name=layer.source,
            op_type=layer.kind,
            why="its ONNX front end has no operator that computes it exactly",
            hint="use relu, relu6 or leaky_relu",
        )
    slope: dict[str, Any] = {"alpha": layer.parameters[0]} if layer.kind == "leaky_relu" else {}
    return writer.node(_OPERATORS[layer.kind], inputs, layer.name, layer.shape, **slope)


def _clip(writer: _Writer, layer: Activation, inputs: Sequence[str]) -> str:
    """Write b - relu(b - relu(x)): hls4ml has no clip, and b on the grid makes every step exact."""
    top = np.full(layer.shape[-1], layer.parameters[1])
    room, rest, kept = clip_names(layer)
    positive = writer.node("Relu", inputs, layer.name, layer.shape)
    left = writer.scaled(positive, room, -np.ones_like(top), top)
    return writer.scaled(writer.node("Relu", [left], rest, layer.shape), kept, -np.ones_like(top), top)


def _affine(writer: _Writer, layer: Layer, inputs: Sequence[str]) -> str:
    assert isinstance(layer, Affine)
    return writer.scaled(inputs[0], layer.name, layer.scale, layer.shift)


def _concatenation(writer: _Writer, layer: Layer, inputs: Sequence[str]) -> str:
    return writer.node("Concat", inputs, layer.name, layer.shape, axis=len(layer.shape))


_OPERATORS = {"leaky_relu": "LeakyRelu", "relu": "Relu", "sigmoid": "Sigmoid", "tanh": "Tanh"}

_WRITERS: dict[type[Layer], Callable[[_Writer, Layer, Sequence[str]], str]] = {
    Activation: _activation,
    Addition: lambda writer, layer, inputs: writer.node("Add", inputs, layer.name, layer.shape),
    Affine: _affine,
    Concatenation: _concatenation,
    Convolution: _convolution,
    Dense: _dense,
    Flatten: lambda writer, layer, inputs: writer.node("Flatten", inputs, layer.name, layer.shape),
    Pooling: _pooling,
}
