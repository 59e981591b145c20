"""Items 8 and 9: fused and separate Q, K, V; shared key-value heads; rotary positions."""

from __future__ import annotations

import numpy as np
import onnx

from ..architectures.transformer import fused_attention
from ..builder import Builder

TOKENS = 6
WIDTH = 24


def _tokens(b: Builder, width: int = WIDTH) -> str:
    """A hidden layer over tokens, so that the width before the attention is itself prunable."""
    return b.relu(b.matmul(b.input("x", ["N", TOKENS, 10]), width))


def _heads(b: Builder, x: str, heads: int) -> str:
    """[N, S, H·D] to [N, H, S, D]."""
    tokens, size = b.size(x, 1), b.size(x, 2) // heads
    return b.transpose(b.reshape(x, -1, tokens, heads, size), 0, 2, 1, 3)


def _merge(b: Builder, x: str) -> str:
    """[N, H, S, D] to [N, S, H·D]."""
    heads, size = b.size(x, 1), b.size(x, 3)
    return b.reshape(b.transpose(x, 0, 2, 1, 3), -1, TOKENS, heads * size)


def _attend(b: Builder, query: str, key: str, value: str, bias: str | None = None) -> str:
    """softmax(QKᵀ/√D + bias)V over [N, H, S, D]."""
    logits = b.node("MatMul", [query, b.transpose(key, 0, 1, 3, 2)])
    logits = b.mul(logits, b.const(b.size(query, 3) ** -0.5))
    return b.node("MatMul", [b.softmax(logits if bias is None else b.add(logits, bias)), value])


def qkv_gather() -> onnx.ModelProto:
    """Reshape[N,S,3,H,D] → Transpose(2,0,3,1,4) → three Gathers."""
    b = Builder("qkv_gather")
    return b.model(b.matmul(fused_attention(b, _tokens(b), 4, 6), 5))


def qkv_split_packed() -> onnx.ModelProto:
    """The packed product is Split in three before the heads are reshaped."""
    b = Builder("qkv_split_packed")
    packed = b.matmul(_tokens(b), 72)
    query, key, value = (_heads(b, part, 4) for part in b.split(packed, 24, 24, 24, axis=-1))
    return b.model(b.matmul(_merge(b, _attend(b, query, key, value)), 5))


def qkv_split_squeeze() -> onnx.ModelProto:
    """Reshape[N,S,3,H,D] → Transpose(2,0,3,1,4) → Split(axis 0) → Squeeze."""
    b = Builder("qkv_split_squeeze")
    packed = b.transpose(b.reshape(b.matmul(_tokens(b), 72), -1, TOKENS, 3, 3, 8), 2, 0, 3, 1, 4)
    query, key, value = (b.squeeze(part, 0) for part in b.split(packed, 1, 1, 1, axis=0))
    return b.model(b.matmul(_merge(b, _attend(b, query, key, value)), 5))


def qkv_interleaved() -> onnx.ModelProto:
    """GPT-NeoX order [N,S,H,3,D]: each head holds its own Q, K and V."""
    b = Builder("qkv_interleaved")
    packed = b.transpose(b.reshape(b.matmul(_tokens(b), 72), -1, TOKENS, 4, 18), 0, 2, 1, 3)
    query, key, value = b.split(packed, 6, 6, 6, axis=3)
    return b.model(b.matmul(_merge(b, _attend(b, query, key, value)), 5))


def qkv_convolution() -> onnx.ModelProto:
    """Attention over pixels: QKV is a 1x1 Conv, Reshape[N,3,H,D,P], heads before sizes."""
    b = Builder("qkv_convolution")
    h = b.conv_relu(b.input("x", ["N", 3, 4, 4]), 16)
    packed = b.reshape(b.conv(h, 48, k=1), -1, 3, 4, 4, 16)
    query, key, value = (b.squeeze(part, 1) for part in b.split(packed, 1, 1, 1, axis=1))
    weights = b.softmax(b.node("MatMul", [b.transpose(query, 0, 1, 3, 2), key]))
    mixed = b.node("MatMul", [value, b.transpose(weights, 0, 1, 3, 2)])
    return b.model(b.head(b.add(b.conv(b.reshape(mixed, -1, 16, 4, 4), 16, k=1), h), 5))


def attention_separate() -> onnx.ModelProto:
    """Three MatMuls, residual, then a Relu MLP."""
    b = Builder("attention_separate")
    h = _tokens(b)
    query, key, value = (_heads(b, b.matmul(h, WIDTH), 4) for _ in range(3))
    h = b.add(h, b.matmul(_merge(b, _attend(b, query, key, value)), WIDTH))
    return b.model(b.matmul(b.add(h, b.matmul(b.relu(b.matmul(h, 32)), WIDTH)), 5))


def attention_batch_heads() -> onnx.ModelProto:
    """Tokens first, batch and heads in one axis: [S, N·H, D], as torch's MultiheadAttention is exported."""
    b = Builder("attention_batch_heads")
    h = b.relu(b.matmul(b.input("x", [TOKENS, "N", 10]), WIDTH))
    parts = [b.node("Reshape", [b.matmul(h, WIDTH), b.ints(TOKENS, -1, 6)]) for _ in range(3)]
    query, key, value = (b.transpose(b.declare(part, [TOKENS, None, 6]), 1, 0, 2) for part in parts)
    seen = b.node("MatMul", [b.softmax(b.node("MatMul", [query, b.transpose(key, 0, 2, 1)])), value])
    merged = b.node("Reshape", [b.transpose(seen, 1, 0, 2), b.ints(TOKENS, -1, WIDTH)])
    return b.model(b.matmul(b.declare(merged, [TOKENS, "N", WIDTH]), 5))


def attention_value_size() -> onnx.ModelProto:
    """Q and K have 4 dimensions per head, V has 8: two sets of atoms, not one."""
    b = Builder("attention_value_size")
    h = _tokens(b)
    query, key = (_heads(b, b.matmul(h, 12), 3) for _ in range(2))
    value = _heads(b, b.matmul(h, 24), 3)
    return b.model(b.matmul(_merge(b, _attend(b, query, key, value)), 5))


def attention_head_bias() -> onnx.ModelProto:
    """A constant position bias per head [1,H,S,S] and a mask input [N,1,1,S] that all heads share."""
    b = Builder("attention_head_bias")
    h, mask = _tokens(b), b.input("mask", ["N", 1, 1, TOKENS])
    query, key, value = (_heads(b, b.matmul(h, WIDTH), 4) for _ in range(3))
    bias = b.add(mask, b.const(b.uniform([1, 4, TOKENS, TOKENS], -1, 1), "position"))
    return b.model(b.matmul(_merge(b, _attend(b, query, key, value, bias)), 5))


def attention_cross() -> onnx.ModelProto:
    """Queries from one input, keys and values from another of other length and width."""
    b = Builder("attention_cross")
    h, memory = _tokens(b), b.relu(b.matmul(b.input("memory", ["N", 9, 7]), 16))
    query = _heads(b, b.matmul(h, WIDTH), 4)
    key, value = (_heads(b, b.matmul(memory, WIDTH), 4) for _ in range(2))
    return b.model(b.matmul(_merge(b, _attend(b, query, key, value)), 5))


def _repeat_heads(b: Builder, x: str, times: int) -> str:
    """[N, G, S, D] to [N, G·times, S, D]: Unsqueeze → Expand → Reshape."""
    groups, size = b.size(x, 1), b.size(x, 3)
    wide = b.node("Expand", [b.unsqueeze(x, 2), b.ints(1, groups, times, TOKENS, size)])
    return b.reshape(wide, -1, groups * times, TOKENS, size)


def gqa_repeat() -> onnx.ModelProto:
    """Four query heads, two key-value heads, each repeated by Unsqueeze → Expand → Reshape."""
    b = Builder("gqa_repeat")
    h = _tokens(b)
    query = _heads(b, b.matmul(h, 24), 4)
    key, value = (_repeat_heads(b, _heads(b, b.matmul(h, 12), 2), 2) for _ in range(2))
    return b.model(b.matmul(_merge(b, _attend(b, query, key, value)), 5))


def mqa_broadcast() -> onnx.ModelProto:
    """One key-value head for four query heads, by broadcasting in MatMul."""
    b = Builder("mqa_broadcast")
    h = _tokens(b)
    query = _heads(b, b.matmul(h, 24), 4)
    key, value = (_heads(b, b.matmul(h, 6), 1) for _ in range(2))
    return b.model(b.matmul(_merge(b, _attend(b, query, key, value)), 5))


def _rotate(b: Builder, x: str) -> str:
    """Rotary positions in the rotate-half form: dimensions i and i + D/2 are one pair."""
    size = b.size(x, 3)
    angles = np.outer(np.arange(TOKENS), 10.0 ** (-np.arange(size // 2) / (size // 2)))
    angles = np.concatenate([angles, angles], axis=1)[None, None].astype(np.float32)
    front, back = b.slice(x, 0, size // 2, axis=3), b.slice(x, size // 2, 2**63 - 1, axis=3)
    turned = b.concat(b.node("Neg", [back]), front, axis=3)
    return b.add(b.mul(x, b.const(np.cos(angles), "cos")), b.mul(turned, b.const(np.sin(angles), "sin")))


def rope_rotate_half() -> onnx.ModelProto:
    """Rotary positions on Q and K; V has none."""
    b = Builder("rope_rotate_half")
    h = _tokens(b)
    query, key = (_rotate(b, _heads(b, b.matmul(h, 32), 4)) for _ in range(2))
    value = _heads(b, b.matmul(h, 24), 4)
    return b.model(b.matmul(_merge(b, _attend(b, query, key, value)), 5))


def gqa_rope() -> onnx.ModelProto:
    """A Llama layer's attention: rotated, repeated key heads, repeated value heads, residual."""
    b = Builder("gqa_rope")
    h = _tokens(b)
    query = _rotate(b, _heads(b, b.matmul(h, 32, bias=False), 4))
    key = _repeat_heads(b, _rotate(b, _heads(b, b.matmul(h, 16, bias=False), 2)), 2)
    value = _repeat_heads(b, _heads(b, b.matmul(h, 16, bias=False), 2), 2)
    h = b.add(h, b.matmul(_merge(b, _attend(b, query, key, value)), WIDTH, bias=False))
    return b.model(b.matmul(h, 5))


def attention_einsum() -> onnx.ModelProto:
    """Attention whose two products are Einsums, no Transpose at all."""
    b = Builder("attention_einsum")
    h = _tokens(b)
    query, key, value = (b.reshape(b.matmul(h, WIDTH), -1, TOKENS, 4, 6) for _ in range(3))
    logits = b.node("Einsum", [query, key], equation="bqhd,bkhd->bhqk")
    mixed = b.node("Einsum", [b.softmax(logits), value], equation="bhqk,bkhd->bqhd")
    return b.model(b.matmul(b.reshape(mixed, -1, TOKENS, WIDTH), 5))


def attention_fused() -> onnx.ModelProto:
    """Attention of onnxruntime (com.microsoft) whose values are wider than its queries and keys."""
    b = Builder("attention_fused")
    h = _tokens(b)
    packed = b.weight([WIDTH, 16 + 16 + 32], fan_in=WIDTH)
    attributes = {"num_heads": 4, "qkv_hidden_sizes": [16, 16, 32]}
    mixed = b.node("Attention", [h, packed, b.vector(64)], domain="com.microsoft", **attributes)
    return b.model(b.matmul(b.declare(mixed, ["N", TOKENS, 32]), 5))
