"""Extras: QuantizeLinear and DequantizeLinear, on weights and on activations, per tensor and per axis."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx

from ..builder import Builder
from ..graph import he


def _weight(b: Builder, shape: Sequence[int], fan_in: int, axis: int | None) -> str:
    """An int8 weight behind a DequantizeLinear, one scale per index of `axis` or one in all."""
    value = he(b.rng, shape, fan_in)
    others = None if axis is None else tuple(i for i in range(len(shape)) if i != axis)
    scale = np.asarray(np.abs(value).max(axis=others) / 127, np.float32)
    spread = scale if axis is None else np.expand_dims(scale, others or ())
    inputs = [
        b.const(np.round(value / spread).astype(np.int8), "quantized"),
        b.const(scale, "scale"),
        b.const(np.zeros_like(scale, np.int8), "zero_point"),
    ]
    return b.node("DequantizeLinear", inputs, axis=1 if axis is None else axis)


def _fake_quantize(b: Builder, x: str, low: float, high: float) -> str:
    """QuantizeLinear and DequantizeLinear of an activation, uint8, per tensor."""
    scale = (high - low) / 255
    parameters = [b.const(scale, "scale"), b.const(np.uint8(round(-low / scale)), "zero_point")]
    return b.node("DequantizeLinear", [b.node("QuantizeLinear", [x, *parameters]), *parameters])


def qdq_weight_per_axis() -> onnx.ModelProto:
    """Conv weights with a scale and zero point per output channel; Gemm likewise."""
    b = Builder("qdq_weight_per_axis")
    h = b.input("x", ["N", 3, 8, 8])
    for cin, cout in ((3, 12), (12, 16)):
        h = b.relu(b.conv_with(h, [_weight(b, [cout, cin, 3, 3], 9 * cin, 0), b.vector(cout)]))
    flat = b.flatten(b.gap(h))
    return b.model(b.node("Gemm", [flat, _weight(b, [5, 16], 16, 0), b.vector(5)], transB=1))


def qdq_weight_per_tensor() -> onnx.ModelProto:
    """Conv weights with a scalar scale and zero point."""
    b = Builder("qdq_weight_per_tensor")
    h = b.relu(b.conv_with(b.input("x", ["N", 3, 8, 8]), [_weight(b, [12, 3, 3, 3], 27, None), b.vector(12)]))
    h = b.relu(b.conv_with(h, [_weight(b, [16, 12, 3, 3], 108, None), b.vector(16)]))
    return b.model(b.head(h, 5))


def qdq_weight_axis_one() -> onnx.ModelProto:
    """Weights whose output channels lie on axis 1: ConvTranspose [Cin,Cout,k,k] and MatMul [Cin,Cout]."""
    b = Builder("qdq_weight_axis_one")
    h = b.conv_relu(b.input("x", ["N", 3, 8, 8]), 12)
    inputs = [h, _weight(b, [12, 16, 2, 2], 12, 1), b.vector(16)]
    h = b.relu(b.node("ConvTranspose", inputs, strides=[2, 2]))
    hidden = b.relu(b.node("MatMul", [b.flatten(b.gap(h)), _weight(b, [16, 20], 16, 1)]))
    return b.model(b.node("MatMul", [hidden, _weight(b, [20, 5], 20, 1)]))


def qdq_weight_input_axis() -> onnx.ModelProto:
    """Scales per *input* channel (axis 1 of a conv): they go with the consumer's columns."""
    b = Builder("qdq_weight_input_axis")
    h = b.conv_relu(b.input("x", ["N", 3, 8, 8]), 12)
    h = b.relu(b.conv_with(h, [_weight(b, [16, 12, 3, 3], 108, 1), b.vector(16)]))
    return b.model(b.head(h, 5))


def transposed_weights() -> onnx.ModelProto:
    """MatMul reads weights transposed by a node: int8 with a scale per output channel, and half precision."""
    b = Builder("transposed_weights")
    h = b.relu(b.node("MatMul", [b.input("x", ["N", 12]), b.transpose(_weight(b, [20, 12], 12, 0), 1, 0)]))
    half = b.node("Cast", [b.const(he(b.rng, [16, 20], 20).astype(np.float16))], to=onnx.TensorProto.FLOAT)
    h = b.relu(b.node("MatMul", [h, b.transpose(half, 1, 0)]))
    return b.model(b.node("MatMul", [h, b.transpose(_weight(b, [5, 16], 16, None), 1, 0)]))


def qdq_activations() -> onnx.ModelProto:
    """A quantised residual block as exported: per-tensor activations, per-axis weights, int32 biases."""
    b = Builder("qdq_activations")
    h = _fake_quantize(b, b.input("x", ["N", 3, 8, 8]), -4.0, 4.0)
    h = b.conv_with(h, [_weight(b, [12, 3, 3, 3], 27, 0), b.vector(12)])
    h = _fake_quantize(b, b.relu(h), 0.0, 6.0)
    scale = b.const(b.uniform([12], 1e-4, 2e-4), "scale")
    bias = b.const(b.rng.integers(-2000, 2000, 12).astype(np.int32), "quantized")
    bias = b.node("DequantizeLinear", [bias, scale], axis=0)
    y = b.conv_with(h, [_weight(b, [12, 12, 3, 3], 108, 0), bias])
    h = _fake_quantize(b, b.relu(b.add(_fake_quantize(b, y, -6.0, 6.0), h)), 0.0, 9.0)
    return b.model(b.head(h, 5))


def qdq_activation_per_axis() -> onnx.ModelProto:
    """Activations quantised per channel: scale and zero point are [C] on axis 1."""
    b = Builder("qdq_activation_per_axis")
    h = b.conv(b.input("x", ["N", 3, 8, 8]), 12)
    parameters = [b.vector(12, 0.02, 0.06, "scale"), b.const(b.rng.integers(80, 160, 12).astype(np.uint8), "zero")]
    quantized = b.node("QuantizeLinear", [h, *parameters], axis=1)
    h = b.relu(b.node("DequantizeLinear", [quantized, *parameters], axis=1))
    return b.model(b.head(b.conv_relu(h, 16), 5))
