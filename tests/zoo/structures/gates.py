"""Item 11: gates and constants that broadcast over channels or over pixels; item 12: the option-A spine."""

from __future__ import annotations

import numpy as np
import onnx

from ..architectures.residual import se_gate_conv, se_gate_gemm, zero_pad_shortcut
from ..builder import Builder


def _stem(b: Builder, width: int = 16) -> str:
    return b.conv_relu(b.input("x", ["N", 3, 8, 8]), width)


def _tail(b: Builder, x: str) -> onnx.ModelProto:
    return b.model(b.head(b.conv_relu(x, 12), 5))


def se_conv() -> onnx.ModelProto:
    """Gate by 1x1 convs."""
    b = Builder("se_conv")
    return _tail(b, se_gate_conv(b, _stem(b), 6))


def se_gemm_unsqueeze() -> onnx.ModelProto:
    """Gate by Flatten, Gemms and Unsqueeze."""
    b = Builder("se_gemm_unsqueeze")
    return _tail(b, se_gate_gemm(b, _stem(b), 6))


def se_gemm_reshape() -> onnx.ModelProto:
    """Gate by ReduceMean without kept axes, MatMuls, HardSigmoid and a literal Reshape[-1,16,1,1]."""
    b = Builder("se_gemm_reshape")
    h = _stem(b)
    squeezed = b.relu(b.matmul(b.mean(h, 2, 3, keepdims=0), 6))
    gate = b.node("HardSigmoid", [b.matmul(squeezed, 16)], alpha=1 / 6)
    return _tail(b, b.mul(b.reshape(gate, -1, 16, 1, 1), h))


def eca_gate() -> onnx.ModelProto:
    """ECA: a Conv1d slides over the channels, so their order and neighbours matter; none can go."""
    b = Builder("eca_gate")
    h = _stem(b)
    row = b.transpose(b.squeeze(b.gap(h), 3), 0, 2, 1)
    gate = b.sigmoid(b.unsqueeze(b.transpose(b.conv(row, 1, bias=False), 0, 2, 1), 3))
    return _tail(b, b.mul(h, gate))


def spatial_gate() -> onnx.ModelProto:
    """A [N,1,H,W] gate from a conv of one output channel: it must not tie the channels it scales."""
    b = Builder("spatial_gate")
    h = _stem(b)
    return _tail(b, b.mul(h, b.sigmoid(b.conv(h, 1, k=1))))


def cbam_gate() -> onnx.ModelProto:
    """CBAM: a channel gate, then a spatial gate from the mean and maximum over channels."""
    b = Builder("cbam_gate")
    h = se_gate_conv(b, _stem(b), 6)
    pooled = b.concat(b.mean(h, 1), b.node("ReduceMax", [h], axes=[1], keepdims=1))
    return _tail(b, b.mul(h, b.sigmoid(b.conv(pooled, 1))))


def constant_1c11() -> onnx.ModelProto:
    """Mul by a [1,C,1,1] constant and Add of another, as in LayerScale."""
    b = Builder("constant_1c11")
    scale = b.const(b.uniform([1, 16, 1, 1], 0.5, 1.5), "scale")
    shift = b.const(b.uniform([1, 16, 1, 1], -0.5, 0.5), "shift")
    return _tail(b, b.relu(b.add(b.mul(_stem(b), scale), shift)))


def constant_c11() -> onnx.ModelProto:
    """The same with [C,1,1], on the left of the Mul and the right of a Sub."""
    b = Builder("constant_c11")
    scale = b.const(b.uniform([16, 1, 1], 0.5, 1.5), "scale")
    shift = b.const(b.uniform([16, 1, 1], -0.5, 0.5), "shift")
    return _tail(b, b.node("Sub", [b.mul(scale, _stem(b)), shift]))


def constant_full() -> onnx.ModelProto:
    """A [1,C,H,W] constant (a position map) and a [H,W] one that knows no channel."""
    b = Builder("constant_full")
    h = b.add(_stem(b), b.const(b.uniform([1, 16, 8, 8], -0.5, 0.5), "position"))
    return _tail(b, b.mul(h, b.const(b.uniform([8, 8], 0.5, 1.5), "window")))


def constant_channel_axis_one() -> onnx.ModelProto:
    """Size-1 constants of rank 0, 1 and 4: scalars in disguise."""
    b = Builder("constant_channel_axis_one")
    h = b.mul(_stem(b), b.const(np.float32(0.7)))
    h = b.add(h, b.const(np.array([0.2], np.float32)))
    return _tail(b, b.node("Div", [h, b.const(np.full([1, 1, 1, 1], 1.3, np.float32))]))


def square_width() -> onnx.ModelProto:
    """Eight channels on 8x8 pixels, a [8] constant: it lies on W, not on the channels of the same size."""
    b = Builder("square_width")
    return _tail(b, b.mul(_stem(b, 8), b.vector(8, 0.5, 1.5, "columns")))


def option_a_spine() -> onnx.ModelProto:
    """Option-A shortcuts twice: 8, 16, 32 channels, the first stage tied to offsets 4 and 12 of the later ones."""
    b = Builder("option_a_spine")
    h = b.conv_bn_relu(b.input("x", ["N", 3, 16, 16]), 8)
    for width in (16, 32):
        body = b.conv_bn(b.conv_bn_relu(h, 12, stride=2), width)
        h = b.relu(b.add(body, zero_pad_shortcut(b, h, width)))
    return b.model(b.head(h, 5))


def option_a_fan_out() -> onnx.ModelProto:
    """The padded stream is read by two blocks, a side head and the next stage."""
    b = Builder("option_a_fan_out")
    h = b.conv_bn_relu(b.input("x", ["N", 3, 16, 16]), 8)
    h = b.add(b.conv_bn(h, 16, stride=2), zero_pad_shortcut(b, h, 16))
    h = b.relu(b.add(b.add(b.conv_bn(h, 16), b.conv(h, 16, k=1)), h))
    return b.model(b.head(h, 5), b.head(b.conv_relu(h, 12), 4))


def option_a_concat_zeros() -> onnx.ModelProto:
    """The shortcut's new channels are a Concat with its own AveragePool times zero."""
    b = Builder("option_a_concat_zeros")
    h = b.conv_bn_relu(b.input("x", ["N", 3, 16, 16]), 8)
    pooled = b.node("AveragePool", [h], kernel_shape=[1, 1], strides=[2, 2])
    padded = b.concat(pooled, b.mul(pooled, b.const(0.0)))
    return b.model(b.head(b.relu(b.add(b.conv_bn(h, 16, stride=2), padded)), 5))


def pad_channels_constant() -> onnx.ModelProto:
    """Pad of the channel axis with 0.5: the new channels are constant but not zero."""
    b = Builder("pad_channels_constant")
    h = b.conv_relu(b.input("x", ["N", 3, 8, 8]), 8)
    padded = b.node("Pad", [h, b.ints(0, 3, 0, 0, 0, 5, 0, 0), b.const(0.5)], mode="constant")
    return b.model(b.head(b.relu(b.add(padded, b.conv(h, 16))), 5))
