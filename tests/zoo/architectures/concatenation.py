"""Networks joined by Concat: dense blocks, a U-Net, both ShuffleNets."""

from __future__ import annotations

import onnx

from ..builder import Builder


def _pre_activation(b: Builder, x: str, width: int, k: int) -> str:
    """BN, Relu, Conv."""
    return b.conv(b.relu(b.bn(x)), width, k, bias=False)


def densenet() -> onnx.ModelProto:
    """Pre-activation dense blocks (each layer reads the Concat of all before it) and a pooled transition."""
    b = Builder("densenet")
    h = b.conv(b.input("x", ["N", 3, 16, 16]), 24)
    for _ in range(3):
        h = b.concat(h, _pre_activation(b, _pre_activation(b, h, 32, 1), 16, 3))
    h = _pre_activation(b, h, 40, 1)
    h = b.node("AveragePool", [h], kernel_shape=[2, 2], strides=[2, 2])
    for _ in range(2):
        h = b.concat(h, _pre_activation(b, _pre_activation(b, h, 32, 1), 16, 3))
    return b.model(b.head(b.relu(b.bn(h))))


def _double_conv(b: Builder, x: str, width: int) -> str:
    return b.conv_bn_relu(b.conv_bn_relu(x, width), width)


def unet() -> onnx.ModelProto:
    """Encoder and decoder joined by skip Concats, ConvTranspose upsampling, a 10-class map as output."""
    b = Builder("unet")
    skip1 = _double_conv(b, b.input("x", ["N", 3, 16, 16]), 12)
    skip2 = _double_conv(b, b.max_pool(skip1), 24)
    bottom = _double_conv(b, b.max_pool(skip2), 48)
    h = _double_conv(b, b.concat(b.conv_transpose(bottom, 24), skip2), 24)
    h = _double_conv(b, b.concat(skip1, b.conv_transpose(h, 16)), 16)
    return b.model(b.conv(h, 10, k=1))


def shuffle_unit(b: Builder, x: str) -> str:
    """ShuffleNetV2: half the channels pass, half are convolved, then all are shuffled."""
    half = b.size(x) // 2
    left, right = b.split(x, half, half)
    right = b.conv_bn_relu(b.bn(b.depthwise(b.conv_bn_relu(right, half, k=1))), half, k=1)
    return b.shuffle(b.concat(left, right), 2)


def _shuffle_down(b: Builder, x: str, width: int) -> str:
    """ShuffleNetV2 with stride 2: both branches are convolved, so the width grows."""
    left = b.conv_bn_relu(b.bn(b.depthwise(x, stride=2)), width // 2, k=1)
    right = b.conv_bn_relu(x, width // 2, k=1)
    right = b.conv_bn_relu(b.bn(b.depthwise(right, stride=2)), width // 2, k=1)
    return b.shuffle(b.concat(left, right), 2)


def shuffle() -> onnx.ModelProto:
    """ShuffleNetV2: Split, depthwise conv, Concat, channel shuffle."""
    b = Builder("shuffle")
    h = b.conv_bn_relu(b.input("x", ["N", 3, 16, 16]), 32)
    h = shuffle_unit(b, _shuffle_down(b, h, 96))
    h = shuffle_unit(b, shuffle_unit(b, _shuffle_down(b, h, 144)))
    return b.model(b.head(b.conv_bn_relu(h, 192, k=1)))


def _grouped_unit(b: Builder, x: str, width: int, stride: int) -> str:
    """ShuffleNetV1: grouped 1x1, shuffle, depthwise, grouped 1x1; Sum, or Concat with a pooled input."""
    group = 2
    body = b.shuffle(b.conv_bn_relu(x, width, k=1, group=group), group)
    body = b.bn(b.depthwise(body, stride=stride))
    if stride == 1:
        return b.relu(b.node("Sum", [b.conv_bn(body, width, k=1, group=group), x]))
    pooled = b.node("AveragePool", [x], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    return b.relu(b.concat(b.conv_bn(body, width - b.size(x), k=1, group=group), pooled))


def shufflenet_v1() -> onnx.ModelProto:
    """ShuffleNetV1: grouped 1x1 convs with a shuffle between them."""
    b = Builder("shufflenet_v1")
    h = b.conv_bn_relu(b.input("x", ["N", 3, 16, 16]), 64)
    for width, stride in ((128, 2), (128, 1), (128, 1)):
        h = _grouped_unit(b, h, width, stride)
    return b.model(b.head(b.conv_bn_relu(h, 192, k=1)))
