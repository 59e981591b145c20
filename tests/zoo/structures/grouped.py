"""Items 3, 4 and 5: channel shuffles, grouped and depthwise convs, convs that only look depthwise."""

from __future__ import annotations

import onnx

from ..builder import Builder


def channel_shuffle() -> onnx.ModelProto:
    """Two ShuffleNetV2 units: Split, 1x1, depthwise, 1x1, Concat, Reshape → Transpose → Reshape."""
    b = Builder("channel_shuffle")
    h = b.conv_relu(b.input("x", ["N", 3, 8, 8]), 16)
    for _ in range(2):
        left, right = b.split(h, 8, 8)
        right = b.conv_relu(b.depthwise(b.conv_relu(right, 8, k=1)), 8, k=1)
        h = b.shuffle(b.concat(left, right), 2)
    return b.model(b.head(h, 5))


def channel_shuffle_flat() -> onnx.ModelProto:
    """The four-axis form [N,g,C/g,H·W], three groups, between two grouped convs."""
    b = Builder("channel_shuffle_flat")
    h = b.conv_relu(b.input("x", ["N", 3, 8, 8]), 24, group=1)
    h = b.conv_relu(h, 24, k=1, group=3)
    h = b.transpose(b.reshape(h, -1, 3, 8, 64), 0, 2, 1, 3)
    h = b.conv_relu(b.reshape(h, -1, 24, 8, 8), 24, k=1, group=3)
    return b.model(b.head(h, 5))


def grouped_conv() -> onnx.ModelProto:
    """One conv of 4 groups between plain convs; in and out channels differ per group (6 in, 4 out)."""
    b = Builder("grouped_conv")
    h = b.conv_relu(b.input("x", ["N", 3, 8, 8]), 24)
    h = b.conv_relu(h, 16, group=4)
    return b.model(b.head(b.conv_relu(h, 12), 5))


def grouped_four_then_six() -> onnx.ModelProto:
    """24 channels between a conv of 4 groups and one of 6: equal counts per block of 6 and per block of 4."""
    b = Builder("grouped_four_then_six")
    h = b.conv_relu(b.input("x", ["N", 3, 8, 8]), 24)
    h = b.conv_bn_relu(b.conv_bn_relu(h, 24, group=4), 24, group=6)
    return b.model(b.head(b.conv_relu(h, 12, k=1), 5))


def grouped_concat_border() -> onnx.ModelProto:
    """Concat of 10 and 14 channels into a conv of 4 groups: the border cuts the second block of 6."""
    b = Builder("grouped_concat_border")
    x = b.input("x", ["N", 3, 8, 8])
    h = b.concat(b.conv_relu(x, 10), b.conv_relu(x, 14, k=1))
    return b.model(b.head(b.conv_relu(h, 24, group=4), 5))


def grouped_residual() -> onnx.ModelProto:
    """A grouped conv's output added to a plain conv's: the blocks spread to the plain one."""
    b = Builder("grouped_residual")
    h = b.conv_relu(b.input("x", ["N", 3, 8, 8]), 16)
    h = b.relu(b.add(b.conv(h, 16, group=4), b.conv(h, 16, k=1)))
    return b.model(b.head(b.conv_relu(h, 12), 5))


def depthwise_separable() -> onnx.ModelProto:
    """Depthwise conv and BN between 1x1 convs."""
    b = Builder("depthwise_separable")
    h = b.conv_relu(b.input("x", ["N", 3, 8, 8]), 16)
    h = b.conv_bn_relu(b.relu(b.bn(b.depthwise(h, stride=2))), 20, k=1)
    return b.model(b.head(h, 5))


def depthwise_multiplier() -> onnx.ModelProto:
    """Depthwise conv of multiplier 2: input channel c makes output channels 2c and 2c+1."""
    b = Builder("depthwise_multiplier")
    h = b.conv_relu(b.input("x", ["N", 3, 8, 8]), 12)
    h = b.relu(b.bn(b.depthwise(h, multiplier=2)))
    return b.model(b.head(b.conv_relu(h, 16, k=1), 5))


def depthwise_on_input() -> onnx.ModelProto:
    """Depthwise conv straight on the graph input: its channels cannot go."""
    b = Builder("depthwise_on_input")
    h = b.relu(b.depthwise(b.input("x", ["N", 3, 8, 8]), multiplier=4))
    return b.model(b.head(b.conv_relu(h, 16, k=1), 5))


def single_output_conv() -> onnx.ModelProto:
    """Ordinary conv of one output channel, then of one input channel: group 1, looks depthwise."""
    b = Builder("single_output_conv")
    h = b.conv_relu(b.input("x", ["N", 3, 8, 8]), 12)
    bottleneck = b.node("Tanh", [b.conv(h, 1)])
    return b.model(b.head(b.conv_relu(bottleneck, 16), 5))


def single_input_conv() -> onnx.ModelProto:
    """Grey images: the first conv's weight is [8,1,3,3] with group 1, the shape of a depthwise one."""
    b = Builder("single_input_conv")
    h = b.conv_relu(b.input("x", ["N", 1, 8, 8]), 8)
    return b.model(b.head(b.relu(b.depthwise(h)), 5))
