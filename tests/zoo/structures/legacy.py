"""Extras: older operator sets, whose sizes and axes are attributes, and the forms of the newer ones."""

from __future__ import annotations

import numpy as np
import onnx

from ..builder import Builder


def _stem(b: Builder, width: int = 12) -> str:
    return b.conv_relu(b.input("x", ["N", 3, 8, 8]), width)


def _tail(b: Builder, x: str) -> onnx.ModelProto:
    return b.model(b.head(b.conv_relu(x, 16), 5))


def legacy_opset7() -> onnx.ModelProto:
    """Opset 7, IR 3: initializers are graph inputs too; Dropout with a ratio, Reshape before Gemm."""
    b = Builder("legacy_opset7", opset=7, ir_version=3)
    h = b.max_pool(b.conv_bn_relu(b.input("x", ["N", 3, 8, 8]), 12))
    h = b.node("Dropout", [b.conv_bn_relu(h, 16)], ratio=0.5)
    hidden = b.relu(b.gemm(b.reshape(h, 0, -1), 20))
    return b.model(b.softmax(b.gemm(b.node("Dropout", [hidden], ratio=0.5), 5), axis=1))


def upsample_opset9() -> onnx.ModelProto:
    """Upsample with scales as an input, then a skip Concat."""
    b = Builder("upsample_opset9", opset=9)
    fine = _stem(b)
    coarse = b.conv_relu(fine, 16, stride=2)
    raised = b.node("Upsample", [coarse, b.const([1.0, 1.0, 2.0, 2.0], "scales")], mode="nearest")
    return _tail(b, b.concat(raised, fine))


def resize_opset10() -> onnx.ModelProto:
    """Resize of opset 10: two inputs, no roi."""
    b = Builder("resize_opset10", opset=10)
    h = b.node("Resize", [_stem(b), b.const([1.0, 1.0, 2.0, 2.0], "scales")], mode="nearest")
    return _tail(b, h)


def clip_attribute() -> onnx.ModelProto:
    """Clip with min and max attributes (opset 6 to 10), depthwise between."""
    b = Builder("clip_attribute", opset=10)
    h = b.node("Clip", [b.conv_bn(b.input("x", ["N", 3, 8, 8]), 12)], min=0.0, max=6.0)
    h = b.node("Clip", [b.bn(b.depthwise(h))], min=0.0, max=6.0)
    return _tail(b, h)


def slice_pad_attribute() -> onnx.ModelProto:
    """Slice (opset 9) and Pad (opset 10) by attributes, on the channel axis."""
    b = Builder("slice_pad_attribute", opset=9)
    h = _stem(b)
    front = b.node("Slice", [h], axes=[1], starts=[0], ends=[8])
    padded = b.node("Pad", [front], pads=[0, 2, 0, 0, 0, 2, 0, 0], mode="constant", value=0.0)
    return _tail(b, b.add(padded, b.conv(h, 12)))


def squeeze_attribute() -> onnx.ModelProto:
    """Squeeze and Unsqueeze by attribute (opset 11) in a squeeze-and-excitation gate."""
    b = Builder("squeeze_attribute", opset=11)
    h = _stem(b)
    squeezed = b.relu(b.gemm(b.node("Squeeze", [b.gap(h)], axes=[2, 3]), 6))
    gate = b.node("Unsqueeze", [b.sigmoid(b.gemm(squeezed, 12))], axes=[2, 3])
    return _tail(b, b.mul(h, gate))


def split_attribute() -> onnx.ModelProto:
    """Split with a `split` attribute, ReduceSum with `axes` (opset 11)."""
    b = Builder("split_attribute", opset=11)
    left, right = b.nodes("Split", [_stem(b)], 2, axis=1, split=[5, 7])
    joined = b.concat(b.conv_relu(left, 8), b.conv_relu(right, 8))
    total = b.node("ReduceSum", [joined], axes=[2, 3], keepdims=0)
    return b.model(b.gemm(b.mul(total, b.const(0.05)), 5))


def reduce_axes_input() -> onnx.ModelProto:
    """ReduceMean and ReduceMax with axes as an input (opset 18)."""
    b = Builder("reduce_axes_input", opset=18)
    h = _stem(b)
    mean = b.node("ReduceMean", [h, b.ints(2, 3)], keepdims=0)
    return b.model(b.gemm(b.concat(mean, b.node("ReduceMax", [h, b.ints(2, 3)], keepdims=0)), 5))


def dropout_mask() -> onnx.ModelProto:
    """Dropout of opset 13: ratio and training_mode are inputs, the mask output is read by nobody."""
    b = Builder("dropout_mask")
    inputs = [_stem(b), b.const(0.5), b.const(np.bool_(False))]
    kept, _ = b.nodes("Dropout", inputs, 2)
    return _tail(b, kept)


def gelu_opset20() -> onnx.ModelProto:
    """Gelu as one operator (opset 20)."""
    b = Builder("gelu_opset20", opset=20, ir_version=9)
    h = b.node("Gelu", [b.matmul(b.input("x", ["N", 6, 10]), 20)])
    return b.model(b.matmul(h, 5))


def cast_identity() -> onnx.ModelProto:
    """Identity, Cast to float64 and back: channels pass through."""
    b = Builder("cast_identity")
    h = b.node("Cast", [b.node("Identity", [_stem(b)])], to=onnx.TensorProto.DOUBLE)
    return _tail(b, b.node("Cast", [h], to=onnx.TensorProto.FLOAT))
