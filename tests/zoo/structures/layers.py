"""Extras: transposed, one- and three-dimensional convs, activations with parameters, pools, recurrent layers."""

from __future__ import annotations

import numpy as np
import onnx

from ..builder import Builder


def _stem(b: Builder, width: int = 12) -> str:
    return b.conv(b.input("x", ["N", 3, 8, 8]), width)


def _tail(b: Builder, x: str) -> onnx.ModelProto:
    return b.model(b.head(b.conv_relu(x, 16), 5))


def conv1d() -> onnx.ModelProto:
    """Conv, BN and MaxPool over [N,C,L], dilated, Flatten at the end."""
    b = Builder("conv1d")
    h = b.conv_bn_relu(b.input("x", ["N", 2, 16]), 12)
    h = b.node("MaxPool", [h], kernel_shape=[2], strides=[2])
    weight = b.weight([16, 12, 3])
    h = b.relu(b.node("Conv", [h, weight, b.vector(16)], dilations=[2], pads=[2, 2]))
    return b.model(b.gemm(b.flatten(h), 5))


def conv3d() -> onnx.ModelProto:
    """Conv and BN over [N,C,D,H,W]."""
    b = Builder("conv3d")
    h = b.conv_bn_relu(b.input("x", ["N", 2, 4, 6, 6]), 8)
    return b.model(b.head(b.conv_relu(h, 12, stride=2), 5))


def conv_valid() -> onnx.ModelProto:
    """No padding, even kernels, stride 2, a rectangular image and SAME_UPPER auto_pad."""
    b = Builder("conv_valid")
    h = b.relu(b.conv(b.input("x", ["N", 3, 12, 9]), 12, k=4, stride=2, pad=0))
    h = b.relu(b.node("Conv", [h, b.weight([16, 12, 2, 2]), b.vector(16)], auto_pad="SAME_UPPER"))
    return b.model(b.gemm(b.flatten(h), 5))


def conv_transpose() -> onnx.ModelProto:
    """ConvTranspose between convs: its weight is [Cin, Cout, k, k]."""
    b = Builder("conv_transpose")
    h = b.relu(b.bn(b.conv_transpose(b.relu(_stem(b)), 16)))
    return b.model(b.conv(h, 3))


def conv_transpose_group() -> onnx.ModelProto:
    """ConvTranspose of 4 groups, then a depthwise one, whose weight is [C,1,k,k]."""
    b = Builder("conv_transpose_group")
    h = b.relu(b.conv_transpose(b.relu(_stem(b)), 16, group=4))
    h = b.relu(b.conv_transpose(h, 16, k=3, stride=1, pad=1, group=16))
    return b.model(b.conv(h, 3))


def prelu_scalar() -> onnx.ModelProto:
    """PRelu with a slope of shape [1]."""
    b = Builder("prelu_scalar")
    return _tail(b, b.node("PRelu", [_stem(b), b.const(np.array([0.2], np.float32), "slope")]))


def prelu_channel() -> onnx.ModelProto:
    """PRelu with a slope [C,1,1]."""
    b = Builder("prelu_channel")
    return _tail(b, b.node("PRelu", [_stem(b), b.const(b.uniform([12, 1, 1], 0.05, 0.5), "slope")]))


def activations() -> onnx.ModelProto:
    """A chain through LeakyRelu, Elu, HardSwish, Softplus, Mish by Tanh, and SiLU."""
    b = Builder("activations")
    h = b.node("LeakyRelu", [_stem(b)], alpha=0.1)
    h = b.node("Elu", [b.conv(h, 12)], alpha=1.0)
    h = b.node("HardSwish", [b.conv(h, 12)])
    h = b.conv(h, 12)
    h = b.conv(b.mul(h, b.node("Tanh", [b.node("Softplus", [h])])), 12)
    return b.model(b.head(b.mul(h, b.sigmoid(h)), 5))


def where_gate() -> onnx.ModelProto:
    """Where(h > threshold per channel, h, 0.1·h): one condition, two values, all of C."""
    b = Builder("where_gate")
    h = _stem(b)
    above = b.node("Greater", [h, b.const(b.uniform([12, 1, 1], -0.2, 0.2), "threshold")])
    return _tail(b, b.node("Where", [above, h, b.mul(h, b.const(0.1))]))


def where_mask() -> onnx.ModelProto:
    """Where by a mask input [N,1,H,W] against a scalar: the mask knows no channel."""
    b = Builder("where_mask")
    h = b.relu(_stem(b))
    return _tail(b, b.node("Where", [b.input("mask", ["N", 1, 8, 8], np.bool_), h, b.const(0.0)]))


def global_max_pool() -> onnx.ModelProto:
    """GlobalMaxPool beside a global average, joined by Concat."""
    b = Builder("global_max_pool")
    h = b.relu(_stem(b))
    pooled = b.concat(b.node("GlobalMaxPool", [h]), b.gap(h))
    return b.model(b.gemm(b.squeeze(pooled, 2, 3), 5))


def average_pool_pad() -> onnx.ModelProto:
    """Padded AveragePool, counting the padding and not."""
    b = Builder("average_pool_pad")
    h = b.relu(_stem(b))
    pools = [
        b.node("AveragePool", [h], kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=count) for count in (0, 1)
    ]
    return _tail(b, b.node("Sub", [b.mul(pools[0], b.const(2.0)), pools[1]]))


def pad_pixels() -> onnx.ModelProto:
    """Reflected and constant padding of H and W before unpadded convs."""
    b = Builder("pad_pixels")
    h = b.node("Pad", [b.relu(_stem(b)), b.ints(0, 0, 1, 1, 0, 0, 1, 1)], mode="reflect")
    h = b.relu(b.conv(h, 16, pad=0))
    h = b.node("Pad", [h, b.ints(0, 0, 1, 2, 0, 0, 2, 1), b.const(0.5)])
    return b.model(b.head(b.relu(b.conv(h, 12, pad=0)), 5))


def recurrent_layer(
    b: Builder, op: str, x: str, size: int, gates: int, directions: int, **attrs: int | str
) -> list[str]:
    """LSTM or GRU over [S,N,I]: weights [D, gates·H, I] and [D, gates·H, H], bias [D, 2·gates·H]."""
    rows = gates * size
    weight = b.weight([directions, rows, b.size(x, 2)], b.size(x, 2))
    recurrence = b.weight([directions, rows, size], 2 * size)
    bias = b.const(b.uniform([directions, 2 * rows], -0.3, 0.3), "bias")
    return b.nodes(op, [x, weight, recurrence, bias], 2, hidden_size=size, **attrs)


def lstm() -> onnx.ModelProto:
    """Linear → LSTM → linear over every step."""
    b = Builder("lstm")
    h = b.relu(b.matmul(b.transpose(b.input("x", ["N", 6, 8]), 1, 0, 2), 16))
    steps = b.squeeze(recurrent_layer(b, "LSTM", h, 12, 4, 1)[0], 1)
    return b.model(b.transpose(b.matmul(steps, 5), 1, 0, 2))


def lstm_bidirectional() -> onnx.ModelProto:
    """Two directions, joined by Transpose and Reshape to 2H features."""
    b = Builder("lstm_bidirectional")
    h = b.relu(b.matmul(b.transpose(b.input("x", ["N", 6, 8]), 1, 0, 2), 16))
    steps = recurrent_layer(b, "LSTM", h, 10, 4, 2, direction="bidirectional")[0]
    return b.model(b.matmul(b.reshape(b.transpose(steps, 0, 2, 1, 3), 6, -1, 20), 5))


def gru() -> onnx.ModelProto:
    """Conv1d features → GRU (reset after the product, as torch) → Gemm on the last state."""
    b = Builder("gru")
    h = b.transpose(b.relu(b.conv(b.input("x", ["N", 4, 6]), 16)), 2, 0, 1)
    state = recurrent_layer(b, "GRU", h, 12, 3, 1, linear_before_reset=1)[1]
    return b.model(b.gemm(b.squeeze(state, 0), 5))
