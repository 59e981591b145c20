"""Extras: constant channels, permutations, odd outputs, odd places for constants."""

from __future__ import annotations

import numpy as np
import onnx

from ..builder import Builder
from ..graph import he

DEAD = [1, 4, 9]


def _stem(b: Builder, width: int = 12) -> str:
    return b.conv_relu(b.input("x", ["N", 3, 8, 8]), width)


def _tail(b: Builder, x: str) -> onnx.ModelProto:
    return b.model(b.head(b.conv_relu(x, 16), 5))


def _dead_conv(b: Builder, x: str) -> str:
    """Conv of 12 channels, three of them with zero weights and a positive bias: Relu(b) > 0 everywhere."""
    weight, bias = he(b.rng, [12, 3, 3, 3], 27), b.uniform([12], -0.3, 0.3)
    weight[DEAD], bias[DEAD] = 0, [0.7, 0.4, 1.1]
    return b.conv_with(x, [b.const(weight, "weight"), b.const(bias, "bias")])


def dead_channel_relu() -> onnx.ModelProto:
    """Constant channels into a 1x1 conv: they fold into its bias exactly."""
    b = Builder("dead_channel_relu")
    h = b.relu(_dead_conv(b, b.input("x", ["N", 3, 8, 8])))
    return b.model(b.head(b.conv_relu(h, 16, k=1), 5))


def dead_channel_padded() -> onnx.ModelProto:
    """Constant channels into a padded 3x3 conv: at the border a bias cannot stand in for them."""
    b = Builder("dead_channel_padded")
    return _tail(b, b.relu(_dead_conv(b, b.input("x", ["N", 3, 8, 8]))))


def dead_channel_batch_norm() -> onnx.ModelProto:
    """BN whose gamma is 0 and beta is not, on three channels, then Flatten and Gemm."""
    b = Builder("dead_channel_batch_norm")
    h = b.conv(b.input("x", ["N", 3, 8, 8]), 12, bias=False)
    gamma, beta = b.uniform([12], 0.6, 1.4), b.uniform([12], -0.3, 0.3)
    gamma[DEAD], beta[DEAD] = 0, [0.5, 0.9, -0.6]
    statistics = [b.vector(12, -0.3, 0.3, "mean"), b.vector(12, 0.5, 1.5, "var")]
    parameters = [b.const(gamma, "gamma"), b.const(beta, "beta"), *statistics]
    h = b.max_pool(b.relu(b.node("BatchNormalization", [h, *parameters])))
    return b.model(b.gemm(b.flatten(h), 5))


def dead_channel_residual() -> onnx.ModelProto:
    """Channels constant in one addend only: the sum is not constant."""
    b = Builder("dead_channel_residual")
    x = b.input("x", ["N", 3, 8, 8])
    return _tail(b, b.relu(b.add(_dead_conv(b, x), b.conv(x, 12, k=1))))


def transpose_cycle() -> onnx.ModelProto:
    """Transpose(2,0,1), whose inverse is another permutation; MatMul over channels; back by (1,2,0)."""
    b = Builder("transpose_cycle")
    h = b.relu(b.conv(b.input("x", ["N", 3, 16]), 12))
    steps = b.relu(b.matmul(b.transpose(h, 2, 0, 1), 20))
    return b.model(b.head(b.conv_relu(b.transpose(steps, 1, 2, 0), 16), 5))


def transpose_width_as_channel() -> onnx.ModelProto:
    """Transpose(0,3,1,2): the next conv contracts over W, and the channels become its rows."""
    b = Builder("transpose_width_as_channel")
    h = b.transpose(_stem(b), 0, 3, 1, 2)
    return b.model(b.head(b.conv_relu(h, 16), 5))


def gather_permutation() -> onnx.ModelProto:
    """Gather as a channel permutation, then an Add with the unpermuted channels."""
    b = Builder("gather_permutation")
    h = _stem(b)
    permuted = b.gather(h, [7, 0, 11, 3, 5, 9, 1, 10, 2, 8, 6, 4], axis=1)
    return _tail(b, b.concat(b.conv_relu(permuted, 8), b.add(permuted, b.conv(h, 12))))


def gather_subset() -> onnx.ModelProto:
    """Gather of some channels, one twice, one counted from the back."""
    b = Builder("gather_subset")
    return _tail(b, b.gather(_stem(b), [0, 5, 5, 2, -1], axis=1))


def topk_channels() -> onnx.ModelProto:
    """TopK over C: which channels come out depends on the image."""
    b = Builder("topk_channels")
    return _tail(b, b.nodes("TopK", [_stem(b), b.ints(4)], 2, axis=1)[0])


def grid_sample() -> onnx.ModelProto:
    """GridSample by an input of coordinates: every channel moves alike."""
    b = Builder("grid_sample")
    grid = b.node("Tanh", [b.input("grid", ["N", 8, 8, 2])])
    return _tail(b, b.node("GridSample", [_stem(b), grid], align_corners=1))


def multi_consumer_output() -> onnx.ModelProto:
    """The features are an output of the graph and are read by two convs."""
    b = Builder("multi_consumer_output")
    h = _stem(b)
    joined = b.concat(b.conv_relu(h, 8), b.conv_relu(h, 8, k=1))
    return b.model(b.head(joined, 5), h)


def two_outputs() -> onnx.ModelProto:
    """A class head and a box head on one trunk."""
    b = Builder("two_outputs")
    h = b.conv_relu(_stem(b), 16)
    return b.model(b.head(b.conv_relu(h, 12), 5), b.head(b.conv_relu(h, 12), 4))


def scalar_output() -> onnx.ModelProto:
    """ReduceSum of everything to a scalar: an energy, or a loss."""
    b = Builder("scalar_output")
    h = b.conv_relu(_stem(b), 8)
    return b.model(b.node("ReduceSum", [b.mul(h, b.const(0.01))], keepdims=0))


def preprocessing() -> onnx.ModelProto:
    """Images normalised in the graph by [1,3,1,1] constants, uint8 to float first."""
    b = Builder("preprocessing")
    h = b.node("Cast", [b.input("x", ["N", 3, 8, 8], np.uint8)], to=onnx.TensorProto.FLOAT)
    h = b.node("Sub", [h, b.const(b.uniform([1, 3, 1, 1], 5, 9), "mean")])
    h = b.node("Div", [h, b.const(b.uniform([1, 3, 1, 1], 3, 5), "deviation")])
    return _tail(b, b.conv_relu(h, 12))


def unused_initializer() -> onnx.ModelProto:
    """An initializer nobody reads, and a node whose output nobody reads."""
    b = Builder("unused_initializer")
    b.weight([12, 3, 3, 3])
    h = _stem(b)
    b.conv_relu(h, 20)
    return _tail(b, h)


def constant_nodes() -> onnx.ModelProto:
    """Every weight, shape and axis is a Constant node."""
    b = Builder("constant_nodes", constant_nodes=True)
    h = b.max_pool(b.conv_bn_relu(b.input("x", ["N", 3, 8, 8]), 12))
    return b.model(b.gemm(b.relu(b.gemm(b.reshape(h, -1, 192), 20)), 5))


def weight_transposed() -> onnx.ModelProto:
    """Linear layers whose [Cout, Cin] weights reach MatMul through a Transpose node."""
    b = Builder("weight_transposed")
    h = b.input("x", ["N", 12])
    for cin, cout in ((12, 20), (20, 16), (16, 5)):
        h = b.add(b.node("MatMul", [h, b.transpose(b.weight([cout, cin]), 1, 0)]), b.vector(cout))
        h = h if cout == 5 else b.relu(h)
    return b.model(h)


def weight_normalised() -> onnx.ModelProto:
    """Weight normalisation left in the graph: g·v/‖v‖ per output channel, by ReduceL2, Div and Mul."""
    b = Builder("weight_normalised")
    x, value = b.input("x", ["N", 3, 8, 8]), b.weight([12, 3, 3, 3])
    norm = b.node("ReduceL2", [value], axes=[1, 2, 3], keepdims=1)
    weight = b.mul(b.node("Div", [value, norm]), b.const(b.uniform([12, 1, 1, 1], 0.5, 1.5), "gain"))
    return _tail(b, b.relu(b.conv_with(x, [weight, b.vector(12)])))


def fused_conv() -> onnx.ModelProto:
    """FusedConv of onnxruntime (com.microsoft): a Conv with its Relu inside."""
    b = Builder("fused_conv")
    h = b.input("x", ["N", 3, 8, 8])
    for cin, cout in ((3, 12), (12, 16)):
        inputs = [h, b.weight([cout, cin, 3, 3]), b.vector(cout)]
        h = b.node("FusedConv", inputs, domain="com.microsoft", activation="Relu", pads=[1] * 4, kernel_shape=[3, 3])
        b.declare(h, ["N", cout, 8, 8])
    return b.model(b.head(h, 5))
