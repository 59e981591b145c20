"""Operators that do whole jobs at once: recurrent layers, attention, samplers of planes."""

from __future__ import annotations

import numpy as np
import onnx

from ..builder import Builder

HIDDEN = 8


def _tokens(b: Builder, width: int = 24) -> str:
    return b.gelu(b.matmul(b.input("x", ["N", 6, 10]), width))


def _recurrent(b: Builder, op: str, gates: int, x: str, ways: int, *more: str, **attributes: object) -> list[str]:
    """One layer on [steps, batch, features]; ``more``: lengths, states, peepholes."""
    weights = [b.weight([ways, gates * HIDDEN, size], fan_in=size) for size in (b.size(x, 2), HIDDEN)]
    direction = "bidirectional" if ways == 2 else "forward"
    inputs = [x, *weights, b.const(b.uniform([ways, 2 * gates * HIDDEN], -0.5, 0.5)), *more]
    return b.nodes(op, inputs, 2, hidden_size=HIDDEN, direction=direction, **attributes)


def _both_ways(b: Builder, x: str) -> str:
    """[steps, ways, batch, hidden] to [steps, batch, ways * hidden]."""
    return b.reshape(b.transpose(x, 0, 2, 1, 3), 0, 0, -1)


def lstm_stacked() -> onnx.ModelProto:
    """A CRNN's end: two LSTMs both ways, the first with peepholes, behind a layer that can lose channels."""
    b = Builder("lstm_stacked")
    h = b.transpose(_tokens(b), 1, 0, 2)
    peepholes = b.const(b.uniform([2, 3 * HIDDEN], -0.5, 0.5))
    first, _ = _recurrent(b, "LSTM", 4, h, 2, "", "", "", peepholes)
    second, _ = _recurrent(b, "LSTM", 4, _both_ways(b, first), 2)
    return b.model(b.matmul(b.transpose(_both_ways(b, second), 1, 0, 2), 5))


def gru_last_state() -> onnx.ModelProto:
    """A classifier that reads the last state of a GRU, which starts from a stored one."""
    b = Builder("gru_last_state")
    h = b.transpose(_tokens(b), 1, 0, 2)
    start = b.const(b.uniform([1, 1, HIDDEN], -0.5, 0.5))
    batch = b.slice(b.node("Shape", [h]), 1, 2, axis=0)
    start = b.node("Expand", [start, b.concat(b.ints(1), batch, b.ints(HIDDEN), axis=0)])
    _, last = _recurrent(b, "GRU", 3, h, 1, "", start, linear_before_reset=1)
    return b.model(b.gemm(b.reshape(last, -1, HIDDEN), 5))


def lstm_streaming() -> onnx.ModelProto:
    """A detector that is called chunk by chunk: its states come in and go out, so that their units are fixed."""
    b = Builder("lstm_streaming")
    h = b.transpose(_tokens(b), 1, 0, 2)
    states = [b.input(name, [1, "N", HIDDEN]) for name in ("h", "c")]
    weights = [b.weight([1, 4 * HIDDEN, size], fan_in=size) for size in (b.size(h, 2), HIDDEN)]
    bias = b.const(b.uniform([1, 8 * HIDDEN], -0.5, 0.5))
    _, last, cell = b.nodes("LSTM", [h, *weights, bias, "", *states], 3, hidden_size=HIDDEN)
    return b.model(b.sigmoid(b.gemm(b.relu(b.reshape(last, -1, HIDDEN)), 5)), last, cell)


def rnn_residual() -> onnx.ModelProto:
    """The hidden units of a plain recurrent layer are added to what a product writes."""
    b = Builder("rnn_residual")
    h = b.transpose(_tokens(b), 1, 0, 2)
    steps, _ = _recurrent(b, "RNN", 1, h, 1)
    return b.model(b.matmul(b.add(b.reshape(_both_ways(b, steps), 0, 0, HIDDEN), b.matmul(h, HIDDEN)), 5))


def attention_operator() -> onnx.ModelProto:
    """Attention of opset 23: two heads of keys and values serve four of queries; values are wider."""
    b = Builder("attention_operator", opset=23, ir_version=10)
    h = _tokens(b)
    query, key, value = (b.matmul(h, width) for width in (4 * 6, 2 * 6, 2 * 8))
    mixed = b.node("Attention", [query, key, value], q_num_heads=4, kv_num_heads=2, is_causal=1)
    return b.model(b.matmul(b.relu(b.matmul(mixed, 16)), 5))


def attention_rotary() -> onnx.ModelProto:
    """RotaryEmbedding turns queries and keys, by stored angles, before Attention over four axes."""
    b = Builder("attention_rotary", opset=23, ir_version=10)
    h = _tokens(b)
    angles = np.arange(6)[:, None] / 10.0 ** np.arange(4)
    caches = [b.const(turn(angles).astype(np.float32)) for turn in (np.cos, np.sin)]
    places = b.node("Expand", [b.const(np.arange(6)[None]), b.concat(_batch(b, h), b.ints(6), axis=0)])
    parts = [b.transpose(b.reshape(b.matmul(h, 24), 0, 0, 3, 8), 0, 2, 1, 3) for _ in range(3)]
    turned = [b.node("RotaryEmbedding", [part, *caches, places]) for part in parts[:2]]
    mixed = b.transpose(b.node("Attention", [*turned, parts[2]]), 0, 2, 1, 3)
    return b.model(b.matmul(b.reshape(mixed, 0, 0, 24), 5))


def _batch(b: Builder, x: str) -> str:
    return b.slice(b.node("Shape", [x]), 0, 1, axis=0)


def attention_multi_head() -> onnx.ModelProto:
    """MultiHeadAttention of onnxruntime, with one bias for all three, behind its Gelu."""
    b = Builder("attention_multi_head")
    h = b.matmul(b.input("x", ["N", 6, 10]), 24)
    h = b.declare(b.node("Gelu", [h], domain="com.microsoft"), ["N", 6, 24])
    parts = [b.matmul(h, width) for width in (24, 24, 32)]
    mixed = b.node("MultiHeadAttention", [*parts, b.vector(80)], domain="com.microsoft", num_heads=4)
    return b.model(b.matmul(b.declare(mixed, ["N", 6, 32]), 5))


def unpooled() -> onnx.ModelProto:
    """SegNet: MaxUnpool puts values back to the places that MaxPool remembers; a mean-variance norm between."""
    b = Builder("unpooled", opset=13)
    h = b.conv_relu(b.input("x", ["N", 3, 8, 8]), 12)
    pooled, places = b.nodes("MaxPool", [h], 2, kernel_shape=[2, 2], strides=[2, 2])
    normal = b.declare(b.node("MeanVarianceNormalization", [pooled], axes=[2, 3]), ["N", 12, 4, 4])
    back = b.node("MaxUnpool", [normal, places], kernel_shape=[2, 2], strides=[2, 2])
    return b.model(b.head(b.conv_relu(b.declare(back, ["N", 12, 8, 8]), 8), 5))


def regions() -> onnx.ModelProto:
    """RoiAlign takes two stored regions out of the first image."""
    b = Builder("regions")
    h = b.conv_relu(b.input("x", ["N", 3, 8, 8]), 12)
    boxes = b.const(np.array([[0, 0, 4, 4], [2, 2, 7, 7]], np.float32))
    found = b.node("RoiAlign", [h, boxes, b.const(np.zeros(2, np.int64))], output_height=3, output_width=3)
    return b.model(b.head(b.conv_relu(found, 8), 5))


def deformed() -> onnx.ModelProto:
    """DeformConv: offsets and a mask of two groups that a layer makes, the channels in two groups; then depthwise."""
    b = Builder("deformed", opset=19)
    h = b.conv_relu(b.input("x", ["N", 3, 8, 8]), 12)
    offsets = [b.conv(h, 36), b.sigmoid(b.conv(h, 18))]
    form = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "offset_group": 2}
    parts = [b.weight([8, 6, 3, 3]), offsets[0], b.vector(8), offsets[1]]
    y = b.relu(b.declare(b.node("DeformConv", [h, *parts], group=2, **form), ["N", 8, 8, 8]))
    y = b.node("DeformConv", [y, b.weight([8, 1, 3, 3]), offsets[0], b.vector(8)], group=8, **form)
    return b.model(b.head(b.conv_relu(b.declare(y, ["N", 8, 8, 8]), 8), 5))
