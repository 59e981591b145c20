"""Item 15: shape side-graphs and sizes baked into constants."""

from __future__ import annotations

import numpy as np
import onnx

from ..builder import Builder


def _stem(b: Builder, width: int = 12) -> str:
    return b.conv_relu(b.input("x", ["N", 3, 8, 8]), width)


def _tail(b: Builder, x: str) -> onnx.ModelProto:
    return b.model(b.head(b.conv_relu(x, 16), 5))


def _sizes(b: Builder, x: str, *axes: int) -> str:
    """Shape → Gather of some axes, a 1-D tensor."""
    return b.gather(b.node("Shape", [x]), list(axes))


def shape_flatten() -> onnx.ModelProto:
    """Torch's x.view(x.size(0), 192): Shape → Gather → Unsqueeze → Concat → Reshape, H·W = 16."""
    b = Builder("shape_flatten")
    h = b.max_pool(_stem(b))
    batch = b.unsqueeze(b.gather(b.node("Shape", [h]), 0), 0)
    flat = b.node("Reshape", [h, b.concat(batch, b.ints(192), axis=0)])
    return b.model(b.gemm(b.declare(flat, ["N", 192]), 5))


def shape_flatten_open() -> onnx.ModelProto:
    """Torch's x.view(x.size(0), -1), whose -1 needs no edit."""
    b = Builder("shape_flatten_open")
    h = b.max_pool(_stem(b))
    batch = b.unsqueeze(b.gather(b.node("Shape", [h]), 0), 0)
    flat = b.node("Reshape", [h, b.concat(batch, b.ints(-1), axis=0)])
    return b.model(b.gemm(b.declare(flat, ["N", 192]), 5))


def shape_channels() -> onnx.ModelProto:
    """N, C, H and W all from Shape: tokens [N,C,H·W] → Transpose → MatMul; nothing is baked."""
    b = Builder("shape_channels")
    h = _stem(b)
    pixels = b.mul(_sizes(b, h, 2), _sizes(b, h, 3))
    tokens = b.node("Reshape", [h, b.concat(_sizes(b, h, 0, 1), pixels, axis=0)])
    tokens = b.transpose(b.declare(tokens, ["N", 12, 64]), 0, 2, 1)
    return b.model(b.matmul(b.relu(b.matmul(tokens, 16)), 5))


def shape_channels_divided() -> onnx.ModelProto:
    """A channel shuffle whose sizes come from Shape and Div: [N, 2, C/2, H, W]."""
    b = Builder("shape_channels_divided")
    h = _stem(b)
    batch, channels, pixels = _sizes(b, h, 0), _sizes(b, h, 1), _sizes(b, h, 2, 3)
    half = b.node("Div", [channels, b.ints(2)])
    h5 = b.node("Reshape", [h, b.concat(batch, b.ints(2), half, pixels, axis=0)])
    h5 = b.transpose(b.declare(h5, ["N", 2, 6, 8, 8]), 0, 2, 1, 3, 4)
    y = b.node("Reshape", [h5, b.concat(batch, channels, pixels, axis=0)])
    return _tail(b, b.declare(y, ["N", 12, 8, 8]))


def reshape_literal() -> onnx.ModelProto:
    """Reshape[-1,12,64] with C written out, and back."""
    b = Builder("reshape_literal")
    h = b.relu(b.conv(b.reshape(_stem(b), -1, 12, 64), 16))
    return _tail(b, b.reshape(h, -1, 16, 8, 8))


def reshape_zero() -> onnx.ModelProto:
    """Reshape[0,0,-1] copies N and C."""
    b = Builder("reshape_zero")
    h = b.conv_relu(b.reshape(_stem(b), 0, 0, -1), 16)
    return b.model(b.matmul(b.transpose(h, 0, 2, 1), 5))


def reshape_minus_one() -> onnx.ModelProto:
    """Reshape[2,-1,8,8] for a batch fixed at 2: C follows from the rest."""
    b = Builder("reshape_minus_one")
    h = b.conv_relu(b.input("x", [2, 3, 8, 8]), 12)
    flat = b.reshape(h, 2, -1, 64)
    return _tail(b, b.reshape(flat, 2, -1, 8, 8))


def reshape_batch_fixed() -> onnx.ModelProto:
    """A batch of 1 baked into every Reshape, the commonest careless export."""
    b = Builder("reshape_batch_fixed")
    h = b.max_pool(b.conv_relu(b.input("x", [1, 3, 8, 8]), 12))
    return b.model(b.gemm(b.reshape(h, 1, 192), 5))


def resize_sizes() -> onnx.ModelProto:
    """Resize with `sizes` [1,12,16,16] that contain C, for a batch fixed at 1."""
    b = Builder("resize_sizes")
    h = b.conv_relu(b.input("x", [1, 3, 8, 8]), 12)
    return _tail(b, b.node("Resize", [h, "", "", b.ints(1, 12, 16, 16)], mode="nearest"))


def resize_to_skip() -> onnx.ModelProto:
    """FPN: sizes are N and C of the coarse map joined to H and W of the fine one, all from Shape."""
    b = Builder("resize_to_skip")
    fine = b.conv_relu(b.input("x", ["N", 3, 16, 16]), 12)
    coarse = b.conv_relu(fine, 16, stride=2)
    sizes = b.concat(_sizes(b, coarse, 0, 1), b.slice(b.node("Shape", [fine]), 2, 4, axis=0), axis=0)
    attributes = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
    raised = b.declare(b.node("Resize", [coarse, "", "", sizes], **attributes), ["N", 16, 16, 16])
    return _tail(b, b.add(b.conv(raised, 12, k=1), fine))


def expand_baked() -> onnx.ModelProto:
    """Expand of a pooled tensor to a literal [1,12,8,8], added back to the map."""
    b = Builder("expand_baked")
    h = _stem(b)
    return _tail(b, b.add(h, b.node("Expand", [b.gap(h), b.ints(1, 12, 8, 8)])))


def expand_channels() -> onnx.ModelProto:
    """Expand that makes the channels: a [N,1,8,8] map to a literal [1,12,8,8], times the features."""
    b = Builder("expand_channels")
    h = _stem(b)
    gate = b.node("Expand", [b.sigmoid(b.conv(h, 1, k=1)), b.ints(1, 12, 8, 8)])
    return _tail(b, b.mul(h, gate))


def tile_pixels() -> onnx.ModelProto:
    """Tile of a pooled tensor over H and W (image-level pooling in ASPP), then Concat."""
    b = Builder("tile_pixels")
    h = _stem(b)
    pooled = b.node("Tile", [b.conv_relu(b.gap(h), 8, k=1), b.ints(1, 1, 8, 8)])
    return _tail(b, b.concat(h, pooled))


def tile_channels() -> onnx.ModelProto:
    """Tile of the channel axis: c is also c + 12."""
    b = Builder("tile_channels")
    return _tail(b, b.node("Tile", [_stem(b), b.ints(1, 2, 1, 1)]))


def constant_of_shape() -> onnx.ModelProto:
    """A tensor of 0.3 made from the Shape of the features (C included), added and concatenated."""
    b = Builder("constant_of_shape")
    h = _stem(b)
    value = onnx.numpy_helper.from_array(np.array([0.3], np.float32))
    filled = b.declare(b.node("ConstantOfShape", [b.node("Shape", [h])], value=value), ["N", 12, 8, 8])
    return _tail(b, b.concat(b.add(b.conv(h, 12), filled), h))


def _state(b: Builder, x: str, *sizes: int) -> str:
    """Zeros of as many samples as x has."""
    zeros = b.node("ConstantOfShape", [b.concat(_sizes(b, x, 0), b.ints(*sizes), axis=0)])
    return b.declare(zeros, ["N", *sizes])


def cells_unrolled() -> onnx.ModelProto:
    """LSTM cells in a row, as a loop over LSTMCell is exported: both states start from zeros of computed shape."""
    b = Builder("cells_unrolled")
    x = b.input("x", ["N", 3, 8])
    weights = [b.weight([40, 8]), b.vector(40)], [b.weight([40, 10]), b.vector(40)]
    hidden, cell = _state(b, x, 10), _state(b, x, 10)
    for step in range(3):
        reads = b.gather(x, step, 1), hidden
        sums = [b.node("Gemm", [read, *own], transB=1) for read, own in zip(reads, weights, strict=True)]
        gate = [b.sigmoid(part) for part in b.split(b.add(*sums), 10, 10, 10, 10)]
        cell = b.add(b.mul(gate[0], cell), b.mul(gate[1], b.node("Tanh", [gate[2]])))
        hidden = b.mul(gate[3], b.node("Tanh", [cell]))
    return b.model(b.gemm(hidden, 5))


def scan_unrolled() -> onnx.ModelProto:
    """A selective scan, step by step: a state of (channels, 4) decays as the input says, from zeros made as it runs."""
    b = Builder("scan_unrolled")
    x = b.input("x", ["N", 3, 8])
    h, pace = b.matmul(x, 12), b.node("Softplus", [b.matmul(x, 12)])
    state, decay, spread = _state(b, x, 12, 4), b.const(b.uniform([12, 4], -1, 0)), b.const(b.uniform([12, 4], -1, 1))
    for step in range(3):
        now, taken = (b.unsqueeze(b.gather(each, step, 1), 2) for each in (pace, h))
        left = b.node("Exp", [b.mul(now, decay)])
        state = b.add(b.mul(left, state), b.mul(taken, spread))
    return b.model(b.gemm(b.relu(b.reduce_sum(state, 2, keepdims=0)), 5))


def slice_shape_end() -> onnx.ModelProto:
    """The second half of the channels: a Slice from C/2 to C, both from Shape."""
    b = Builder("slice_shape_end")
    h = _stem(b)
    channels = _sizes(b, h, 1)
    half = b.node("Div", [channels, b.ints(2)])
    back = b.declare(b.node("Slice", [h, half, channels, b.ints(1)]), ["N", 6, 8, 8])
    front = b.declare(b.node("Slice", [h, b.ints(0), half, b.ints(1)]), ["N", 6, 8, 8])
    return _tail(b, b.add(b.conv(back, 8), b.conv(front, 8)))


def scale_by_channel_count() -> onnx.ModelProto:
    """Features divided by √C with C read from Shape: the value changes when the shape does."""
    b = Builder("scale_by_channel_count")
    h = _stem(b)
    count = b.node("Cast", [_sizes(b, h, 1)], to=onnx.TensorProto.FLOAT)
    return _tail(b, b.node("Div", [h, b.node("Sqrt", [count])]))


def dynamic_pixels() -> onnx.ModelProto:
    """Symbolic N, H and W through a strided conv, a Resize by scales, a skip Add and a global pool."""
    b = Builder("dynamic_pixels")
    fine = b.conv_bn_relu(b.input("x", ["N", 3, "H", "W"]), 12)
    coarse = b.conv_bn_relu(fine, 12, stride=2)
    raised = b.node("Resize", [coarse, "", b.const([1.0, 1.0, 2.0, 2.0], "scales")], mode="nearest")
    return _tail(b, b.add(b.declare(raised, ["N", 12, "H", "W"]), fine))


def dynamic_tokens() -> onnx.ModelProto:
    """Symbolic sequence length through Reshape[0,0,3,8] heads and a Softmax."""
    b = Builder("dynamic_tokens")
    h = b.relu(b.matmul(b.input("x", ["N", "S", 10]), 20))
    query, key, value = (b.transpose(b.reshape(b.matmul(h, 24), 0, 0, 3, 8), 0, 2, 1, 3) for _ in range(3))
    weights = b.softmax(b.node("MatMul", [query, b.transpose(key, 0, 1, 3, 2)]))
    mixed = b.transpose(b.node("MatMul", [weights, value]), 0, 2, 1, 3)
    return b.model(b.matmul(b.reshape(mixed, 0, 0, 24), 5))
