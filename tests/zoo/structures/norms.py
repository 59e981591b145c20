"""Item 13: normalisations and reductions over the pruned axis."""

from __future__ import annotations

import numpy as np
import onnx

from ..builder import Builder


def _stem(b: Builder, width: int = 16) -> str:
    return b.conv(b.input("x", ["N", 3, 8, 8]), width)


def _tail(b: Builder, x: str) -> onnx.ModelProto:
    return b.model(b.head(b.conv_relu(x, 12), 5))


def _tokens(b: Builder, width: int = 24) -> str:
    return b.matmul(b.input("x", ["N", 6, 10]), width)


def _token_tail(b: Builder, x: str) -> onnx.ModelProto:
    return b.model(b.matmul(b.relu(b.matmul(x, 16)), 5))


def group_norm_18() -> onnx.ModelProto:
    """GroupNormalization of opset 18: one scale and shift per group. Deprecated, so the checker refuses it."""
    b = Builder("group_norm_18", opset=18)
    scale, shift = b.vector(4, 0.6, 1.4, "gamma"), b.vector(4)
    h = b.node("GroupNormalization", [_stem(b), scale, shift], num_groups=4, epsilon=1e-5)
    return _tail(b, b.relu(b.declare(h, ["N", 16, 8, 8])))


def group_norm_per_group() -> onnx.ModelProto:
    """What opset 18 meant, in older operators: the InstanceNormalization of the groups has their scale and shift."""
    b = Builder("group_norm_per_group")
    grouped = b.reshape(_stem(b), 0, 4, -1)
    h = b.node("InstanceNormalization", [grouped, b.vector(4, 0.6, 1.4, "gamma"), b.vector(4)], epsilon=1e-5)
    return _tail(b, b.relu(b.reshape(h, 0, 16, 8, 8)))


def group_norm_21() -> onnx.ModelProto:
    """GroupNormalization of opset 21: one scale and shift per channel."""
    b = Builder("group_norm_21", opset=21, ir_version=10)
    scale, shift = b.vector(16, 0.6, 1.4, "gamma"), b.vector(16)
    h = b.node("GroupNormalization", [_stem(b), scale, shift], num_groups=4, epsilon=1e-5)
    return _tail(b, b.relu(b.declare(h, ["N", 16, 8, 8])))


def group_norm_decomposed() -> onnx.ModelProto:
    """Torch's export: Reshape[0,4,-1] → InstanceNormalization → Reshape to the old Shape → Mul → Add."""
    b = Builder("group_norm_decomposed")
    h = _stem(b)
    ones, zeros = b.const(np.ones(4, np.float32), "ones"), b.const(np.zeros(4, np.float32), "zeros")
    normal = b.node("InstanceNormalization", [b.reshape(h, 0, 4, -1), ones, zeros], epsilon=1e-5)
    normal = b.node("Reshape", [normal, b.node("Shape", [h])])
    scale = b.const(b.uniform([16, 1, 1], 0.6, 1.4), "gamma")
    shift = b.const(b.uniform([16, 1, 1], -0.3, 0.3), "beta")
    return _tail(b, b.relu(b.add(b.mul(normal, scale), shift)))


def instance_norm() -> onnx.ModelProto:
    """InstanceNormalization: each channel on its own, so its channels can go."""
    b = Builder("instance_norm")
    h = b.node("InstanceNormalization", [_stem(b), b.vector(16, 0.6, 1.4, "gamma"), b.vector(16)], epsilon=1e-5)
    return _tail(b, b.relu(h))


def layer_norm() -> onnx.ModelProto:
    """LayerNormalization over the hidden axis, Gelu after."""
    b = Builder("layer_norm")
    return _token_tail(b, b.gelu(b.layer_norm(_tokens(b))))


def layer_norm_decomposed() -> onnx.ModelProto:
    """ReduceMean, Sub, Pow, ReduceMean, Add, Sqrt, Div, Mul, Add."""
    b = Builder("layer_norm_decomposed")
    h = _tokens(b)
    centred = b.node("Sub", [h, b.mean(h, -1)])
    variance = b.mean(b.node("Pow", [centred, b.const(2.0)]), -1)
    normal = b.node("Div", [centred, b.node("Sqrt", [b.add(variance, b.const(1e-5))])])
    return _token_tail(b, b.add(b.mul(normal, b.vector(24, 0.6, 1.4, "gamma")), b.vector(24)))


def layer_norm_channels() -> onnx.ModelProto:
    """ConvNeXt: depthwise conv, Transpose to NHWC, LayerNormalization, MatMuls, LayerScale, residual."""
    b = Builder("layer_norm_channels")
    h = b.relu(_stem(b))
    y = b.layer_norm(b.transpose(b.depthwise(h, k=5), 0, 2, 3, 1))
    y = b.mul(b.matmul(b.gelu(b.matmul(y, 32)), 16), b.vector(16, 0.5, 1.5, "gamma"))
    return _tail(b, b.add(h, b.transpose(y, 0, 3, 1, 2)))


def rms_norm_decomposed() -> onnx.ModelProto:
    """Llama's: Pow, ReduceMean, Add, Sqrt, Reciprocal, Mul, Mul."""
    b = Builder("rms_norm_decomposed")
    h = _tokens(b)
    power = b.add(b.mean(b.node("Pow", [h, b.const(2.0)]), -1), b.const(1e-5))
    normal = b.mul(h, b.node("Reciprocal", [b.node("Sqrt", [power])]))
    return _token_tail(b, b.mul(b.vector(24, 0.6, 1.4, "gamma"), normal))


def rms_norm() -> onnx.ModelProto:
    """RMSNormalization of opset 23, on a stream that two layers write to."""
    b = Builder("rms_norm", opset=23, ir_version=10)
    h = _tokens(b)
    normal = b.node("RMSNormalization", [h, b.vector(24, 0.6, 1.4, "gamma")], axis=-1, epsilon=1e-3)
    return _token_tail(b, b.add(h, b.matmul(b.gelu(b.matmul(normal, 32)), 24)))


def layer_norm_outputs() -> onnx.ModelProto:
    """Mean and deviation of a LayerNormalization are read as well; it has no shift."""
    b = Builder("layer_norm_outputs")
    h = b.gelu(_tokens(b))
    scale = b.vector(24, 0.6, 1.4, "gamma")
    normal, mean, inverse = b.nodes("LayerNormalization", [h, scale], 3, axis=-1)
    return _token_tail(b, b.add(b.mul(normal, inverse), mean))


def layer_norm_beside() -> onnx.ModelProto:
    """LayerNormalization over rows of an image: no channel is part of what it measures."""
    b = Builder("layer_norm_beside")
    return _tail(b, b.relu(b.layer_norm(_stem(b))))


def softmax_channels() -> onnx.ModelProto:
    """Softmax over the channels of an inner tensor."""
    b = Builder("softmax_channels")
    return _tail(b, b.softmax(_stem(b), axis=1))


def softmax_coerced() -> onnx.ModelProto:
    """Before opset 13 Softmax(axis=1) flattens: it runs over C, H and W together."""
    b = Builder("softmax_coerced", opset=11)
    h = b.node("Softmax", [_stem(b)], axis=1)
    return _tail(b, b.mul(h, b.const(100.0)))


def softmax_spatial() -> onnx.ModelProto:
    """Softmax over pixels only: the channels stay apart and can go."""
    b = Builder("softmax_spatial")
    h = b.softmax(b.reshape(_stem(b), -1, 16, 64), axis=2)
    return _tail(b, b.mul(b.reshape(h, -1, 16, 8, 8), b.const(20.0)))


def reduce_mean_channels() -> onnx.ModelProto:
    """ReduceMean over C: its divisor is the channel count."""
    b = Builder("reduce_mean_channels")
    h = b.relu(_stem(b))
    return _tail(b, b.node("Sub", [h, b.mean(h, 1)]))


def reduce_mean_pixels() -> onnx.ModelProto:
    """ReduceMean over H and W with negative axes: harmless."""
    b = Builder("reduce_mean_pixels")
    return b.model(b.gemm(b.mean(b.relu(_stem(b)), -1, -2, keepdims=0), 5))


def reduce_sum_channels() -> onnx.ModelProto:
    """ReduceSum over C: a channel contributes itself, a zeroed one nothing."""
    b = Builder("reduce_sum_channels")
    total = b.reduce_sum(b.relu(_stem(b)), 1)
    return _tail(b, b.mul(total, b.const(0.1)))


def reduce_max_channels() -> onnx.ModelProto:
    """ReduceMax over C of a signed tensor: zeroing a channel is not removing it."""
    b = Builder("reduce_max_channels")
    h = _stem(b)
    return _tail(b, b.add(h, b.node("ReduceMax", [h], axes=[1], keepdims=1)))


def l2_normalize() -> onnx.ModelProto:
    """Embedding head: Gemm, ReduceL2 over the features, Div."""
    b = Builder("l2_normalize")
    h = b.gemm(b.flatten(b.gap(b.relu(_stem(b)))), 24)
    norm = b.node("Max", [b.node("ReduceL2", [h], axes=[1], keepdims=1), b.const(1e-6)])
    return b.model(b.gemm(b.node("Div", [h, norm]), 5))


def lp_normalization() -> onnx.ModelProto:
    """LpNormalization over C."""
    b = Builder("lp_normalization")
    return _tail(b, b.node("LpNormalization", [_stem(b)], axis=1, p=2))


def lrn() -> onnx.ModelProto:
    """AlexNet's LRN: each channel is scaled by its neighbours in channel order."""
    b = Builder("lrn")
    h = b.node("LRN", [b.relu(_stem(b))], size=5, alpha=0.5, beta=0.75, bias=1.0)
    return _tail(b, h)


def argmax_channels() -> onnx.ModelProto:
    """Segmentation: ArgMax over C is the graph output, an integer per pixel."""
    b = Builder("argmax_channels")
    h = b.conv(b.relu(_stem(b)), 6)
    return b.model(b.node("ArgMax", [h], axis=1, keepdims=0))


def argmax_inner() -> onnx.ModelProto:
    """ArgMax over an inner, unnamed channel axis, cast and convolved again."""
    b = Builder("argmax_inner")
    index = b.node("Cast", [b.node("ArgMax", [_stem(b)], axis=1)], to=onnx.TensorProto.FLOAT)
    return _tail(b, b.mul(index, b.const(0.1)))


def cumulative_sum_channels() -> onnx.ModelProto:
    """CumSum over C: an index reads all before it."""
    b = Builder("cumulative_sum_channels")
    return _tail(b, b.node("CumSum", [b.relu(_stem(b)), b.const(np.int64(1))]))
