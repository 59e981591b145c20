"""Item 7: Split, Slice and gated halves."""

from __future__ import annotations

import onnx

from ..builder import Builder

INT_MAX = 2**63 - 1


def _stem(b: Builder, width: int = 16) -> str:
    return b.conv_relu(b.input("x", ["N", 3, 8, 8]), width)


def split_unequal() -> onnx.ModelProto:
    """Sizes 4, 10 and 6, each part to its own conv."""
    b = Builder("split_unequal")
    first, second, third = b.split(_stem(b, 20), 4, 10, 6)
    h = b.concat(b.conv_relu(first, 8), b.conv_relu(second, 8), third)
    return b.model(b.head(h, 5))


def split_default_sizes() -> onnx.ModelProto:
    """Split without a sizes input: equal parts follow from the number of outputs."""
    b = Builder("split_default_sizes")
    left, right = b.nodes("Split", [_stem(b)], 2, axis=1)
    return b.model(b.head(b.concat(b.conv_relu(left, 8), b.conv_relu(right, 12)), 5))


def split_num_outputs() -> onnx.ModelProto:
    """Opset 18 `num_outputs`: 16 channels in 3 are 6, 6 and 4; must become explicit sizes."""
    b = Builder("split_num_outputs", opset=18)
    parts = b.nodes("Split", [_stem(b)], 3, axis=1, num_outputs=3)
    h = b.concat(*(b.conv_relu(part, 8) for part in parts))
    return b.model(b.head(h, 5))


def split_together_and_apart() -> onnx.ModelProto:
    """CSP: one half is convolved, the whole and both halves are read elsewhere."""
    b = Builder("split_together_and_apart")
    h = _stem(b)
    left, right = b.split(h, 8, 8)
    deep = b.add(b.conv_relu(right, 8), left)
    return b.model(b.head(b.conv_relu(b.concat(deep, h), 12), 5))


def split_c2f() -> onnx.ModelProto:
    """YOLOv8 C2f: 1x1, Split, chained residual bottlenecks, Concat of every stage, 1x1."""
    b = Builder("split_c2f")
    parts = b.split(b.conv_bn_relu(_stem(b), 24, k=1), 12, 12)
    for _ in range(2):
        last = parts[-1]
        parts.append(b.add(last, b.conv_bn_relu(b.conv_bn_relu(last, 12), 12)))
    return b.model(b.head(b.conv_bn_relu(b.concat(*parts), 16, k=1), 5))


def slice_step_two() -> onnx.ModelProto:
    """Even and odd channels by Slices of step 2."""
    b = Builder("slice_step_two")
    h = _stem(b)
    even, odd = b.slice(h, 0, 16, step=2), b.slice(h, 1, 16, step=2)
    return b.model(b.head(b.concat(b.conv_relu(even, 8), b.conv_relu(odd, 12, k=1)), 5))


def slice_negative_ends() -> onnx.ModelProto:
    """Starts and ends counted from the back, a negative axis; channels 0, 1, 2 and 15 of 16 are read nowhere."""
    b = Builder("slice_negative_ends")
    h = _stem(b)
    middle, tail = b.slice(h, 3, -4, axis=-3), b.slice(h, -6, -1)
    return b.model(b.head(b.concat(b.conv_relu(middle, 8), b.conv_relu(tail, 8)), 5))


def slice_int_max() -> onnx.ModelProto:
    """Open ends written as INT_MAX, and a second branch from the front."""
    b = Builder("slice_int_max")
    h = _stem(b)
    front, back = b.slice(h, 0, 10), b.slice(h, 10, INT_MAX)
    return b.model(b.head(b.concat(b.conv_relu(back, 8), b.conv_relu(front, 8)), 5))


def slice_reversed() -> onnx.ModelProto:
    """Step -1 reverses the channels before an Add with the straight ones: c is tied to 15 - c."""
    b = Builder("slice_reversed")
    h = _stem(b)
    h = b.add(b.slice(h, -1, -INT_MAX, step=-1), b.conv_relu(h, 16))
    return b.model(b.head(b.conv_relu(h, 12), 5))


def glu_halves() -> onnx.ModelProto:
    """Gated linear unit: one half times the sigmoid of the other, so c is tied to c + 16."""
    b = Builder("glu_halves")
    value, gate = b.split(b.conv(_stem(b), 32), 16, 16)
    return b.model(b.head(b.conv_relu(b.mul(value, b.sigmoid(gate)), 12), 5))


def glu_matmul() -> onnx.ModelProto:
    """SwiGLU over tokens: MatMul, Split on the last axis, x·sigmoid(x) of one half times the other."""
    b = Builder("glu_matmul")
    h = b.matmul(b.input("x", ["N", 6, 12]), 48)
    gate, value = b.split(h, 24, 24, axis=-1)
    h = b.mul(b.mul(gate, b.sigmoid(gate)), value)
    return b.model(b.matmul(h, 5, bias=False))
