"""Item 6: Concat chains."""

from __future__ import annotations

import onnx

from ..builder import Builder


def concat_two() -> onnx.ModelProto:
    """Two branches of different widths, one Concat, BN over the joined axis."""
    b = Builder("concat_two")
    x = b.input("x", ["N", 3, 8, 8])
    h = b.relu(b.bn(b.concat(b.conv(x, 8), b.conv(x, 12, k=1))))
    return b.model(b.head(b.conv_relu(h, 16), 5))


def concat_same_twice() -> onnx.ModelProto:
    """The same tensor twice: one channel is two places of the joined axis."""
    b = Builder("concat_same_twice")
    h = b.conv_relu(b.input("x", ["N", 3, 8, 8]), 8)
    return b.model(b.head(b.conv_relu(b.concat(h, h), 12), 5))


def concat_nested() -> onnx.ModelProto:
    """Concat of Concats, with one branch in both."""
    b = Builder("concat_nested")
    x = b.input("x", ["N", 3, 8, 8])
    first, second, third = b.conv_relu(x, 6), b.conv_relu(x, 10), b.conv_relu(x, 8, k=1)
    inner = b.concat(first, second)
    h = b.concat(third, inner, b.concat(second, third))
    return b.model(b.head(b.conv_relu(h, 12), 5))


def concat_then_add() -> onnx.ModelProto:
    """Concat of 6 and 10 channels, then Add with a plain conv of 16."""
    b = Builder("concat_then_add")
    x = b.input("x", ["N", 3, 8, 8])
    joined = b.concat(b.conv(x, 6), b.conv(x, 10))
    h = b.relu(b.add(joined, b.conv(x, 16, k=1)))
    return b.model(b.head(b.conv_relu(h, 12), 5))


def ghost_module() -> onnx.ModelProto:
    """GhostNet: a conv and a depthwise conv of it, concatenated; linear bottleneck and residual."""
    b = Builder("ghost_module")
    h = b.conv_bn_relu(b.input("x", ["N", 3, 8, 8]), 16)
    primary = b.conv_bn_relu(h, 12, k=1)
    ghost = b.concat(primary, b.relu(b.bn(b.depthwise(primary))))
    primary = b.conv_bn(ghost, 8, k=1)
    ghost = b.concat(primary, b.bn(b.depthwise(primary)))
    return b.model(b.head(b.add(h, ghost), 5))


def concat_dense_chain() -> onnx.ModelProto:
    """DenseNet in small: each layer reads the Concat of all before it."""
    b = Builder("concat_dense_chain")
    h = b.conv(b.input("x", ["N", 3, 8, 8]), 8)
    for _ in range(3):
        h = b.concat(h, b.conv(b.relu(b.bn(h)), 8))
    return b.model(b.head(h, 5))


def concat_with_input() -> onnx.ModelProto:
    """Features joined to the graph input, whose channels cannot go."""
    b = Builder("concat_with_input")
    x = b.input("x", ["N", 3, 8, 8])
    h = b.concat(x, b.conv_relu(x, 12))
    return b.model(b.head(b.conv_relu(h, 16), 5))


def concat_pan() -> onnx.ModelProto:
    """A path-aggregation neck: up by Resize and Concat, down by strided conv and Concat; two outputs."""
    b = Builder("concat_pan")
    fine = b.conv_relu(b.input("x", ["N", 3, 16, 16]), 12)
    coarse = b.conv_relu(fine, 16, stride=2)
    scales = b.const([1.0, 1.0, 2.0, 2.0], "scales")
    raised = b.node("Resize", [coarse, "", scales], mode="nearest")
    top = b.conv_relu(b.concat(raised, fine), 12)
    down = b.conv_relu(top, 12, stride=2)
    low = b.conv_relu(b.concat(down, coarse), 16)
    return b.model(b.conv(top, 4, k=1), b.conv(low, 4, k=1))


def concat_spatial() -> onnx.ModelProto:
    """Concat along H: the channels of both branches are tied, index by index."""
    b = Builder("concat_spatial")
    x = b.input("x", ["N", 3, 8, 8])
    h = b.concat(b.conv_relu(x, 12), b.conv_relu(x, 12, k=1), axis=2)
    return b.model(b.head(b.conv_relu(h, 16), 5))
