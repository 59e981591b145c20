"""Residual networks: projections, zero padding, inverted residuals, gates and grouped convs."""

from __future__ import annotations

import onnx

from ..builder import Builder


def _basic_block(b: Builder, x: str, width: int, stride: int) -> str:
    """Two 3x3 convs; a strided 1x1 projection where the shape changes."""
    body = b.conv_bn(b.conv_bn_relu(x, width, stride=stride), width)
    same = stride == 1 and b.size(x) == width
    return b.relu(b.add(body, x if same else b.conv_bn(x, width, k=1, stride=stride)))


def resnet_projection() -> onnx.ModelProto:
    """Basic blocks with 1x1 stride-2 projections."""
    b = Builder("resnet_projection")
    h = b.conv_bn_relu(b.input("x", ["N", 3, 16, 16]), 16)
    for width, stride in ((16, 1), (16, 1), (32, 2), (32, 1), (48, 2)):
        h = _basic_block(b, h, width, stride)
    return b.model(b.head(h))


def zero_pad_shortcut(b: Builder, x: str, width: int) -> str:
    """Option A: every second pixel, zero channels padded evenly on both sides."""
    strided = b.node("Slice", [x, b.ints(0, 0), b.ints(2**63 - 1, 2**63 - 1), b.ints(2, 3), b.ints(2, 2)])
    extra = (width - b.size(x)) // 2
    return b.node("Pad", [strided, b.ints(0, extra, 0, 0, 0, extra, 0, 0), b.const(0.0)], mode="constant")


def resnet_zero_pad() -> onnx.ModelProto:
    """CIFAR option A: shortcuts are strided Slices and a Pad of the channel axis, so stages share a spine."""
    b = Builder("resnet_zero_pad")
    h = b.conv_bn_relu(b.input("x", ["N", 3, 16, 16]), 16)
    for width, stride in ((16, 1), (32, 2), (32, 1), (48, 2)):
        body = b.conv_bn(b.conv_bn_relu(h, width, stride=stride), width)
        h = b.relu(b.add(body, h if stride == 1 else zero_pad_shortcut(b, h, width)))
    return b.model(b.head(h))


def mobilenet_v2() -> onnx.ModelProto:
    """Inverted residuals: 1x1 expand, depthwise 3x3, linear 1x1, with Clip as ReLU6."""
    b = Builder("mobilenet_v2")
    h = b.relu6(b.conv_bn(b.input("x", ["N", 3, 16, 16]), 32, stride=2))
    for width, stride, expand in ((56, 1, 2), (56, 1, 2), (80, 2, 2), (80, 1, 2)):
        body = b.relu6(b.conv_bn(h, b.size(h) * expand, k=1))
        body = b.bn(b.conv(b.relu6(b.bn(b.depthwise(body, stride=stride))), width, k=1, bias=False))
        h = b.add(body, h) if stride == 1 and b.size(h) == width else body
    return b.model(b.head(b.relu6(b.conv_bn(h, 192, k=1))))


def se_gate_conv(b: Builder, x: str, reduced: int) -> str:
    """Squeeze-and-excitation of 1x1 convs."""
    squeezed = b.conv_relu(b.gap(x), reduced, k=1)
    return b.mul(x, b.sigmoid(b.conv(squeezed, b.size(x), k=1)))


def se_gate_gemm(b: Builder, x: str, reduced: int) -> str:
    """Squeeze-and-excitation of Flatten, Gemms and an Unsqueeze."""
    squeezed = b.relu(b.gemm(b.flatten(b.gap(x)), reduced))
    return b.mul(x, b.unsqueeze(b.sigmoid(b.gemm(squeezed, b.size(x))), 2, 3))


def se_residual() -> onnx.ModelProto:
    """Residual blocks gated by squeeze-and-excitation, one of convs and one of Gemms."""
    b = Builder("se_residual")
    h = b.conv_bn_relu(b.input("x", ["N", 3, 16, 16]), 24)
    body = b.conv_bn(b.conv_bn_relu(h, 32), 24)
    h = b.relu(b.add(se_gate_conv(b, body, 8), h))
    h = b.conv_bn_relu(h, 48, stride=2)
    body = b.conv_bn(b.conv_bn_relu(h, 48), 48)
    h = b.relu(b.add(se_gate_gemm(b, body, 12), h))
    return b.model(b.head(h))


def resnext() -> onnx.ModelProto:
    """Bottlenecks whose 3x3 conv has 4 or 8 groups, neither one nor all channels."""
    b = Builder("resnext")
    h = b.conv_bn_relu(b.input("x", ["N", 3, 16, 16]), 32)
    for width, stride, group in ((32, 1, 4), (48, 2, 8), (48, 1, 8)):
        body = b.conv_bn_relu(b.conv_bn_relu(h, width, k=1), width, stride=stride, group=group)
        same = stride == 1 and b.size(h) == width
        shortcut = h if same else b.conv_bn(h, width, k=1, stride=stride)
        h = b.relu(b.add(b.conv_bn(body, width, k=1), shortcut))
    return b.model(b.head(b.conv_bn_relu(h, 64, k=1)))
