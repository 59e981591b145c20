"""A vision transformer, its attention decomposed as exporters write it."""

from __future__ import annotations

import onnx

from ..builder import Builder


def fused_attention(b: Builder, x: str, heads: int, size: int) -> str:
    """Fused QKV MatMul → Reshape[B,N,3,H,D] → Transpose(2,0,3,1,4) → Gather, then softmax(QKᵀ/√D)V."""
    width, tokens = b.size(x, 2), b.size(x, 1)
    qkv = b.reshape(b.matmul(x, 3 * heads * size), -1, tokens, 3, heads, size)
    qkv = b.transpose(qkv, 2, 0, 3, 1, 4)
    query, key, value = (b.gather(qkv, i) for i in range(3))
    logits = b.node("MatMul", [b.mul(query, b.const(size**-0.5)), b.transpose(key, 0, 1, 3, 2)])
    mixed = b.transpose(b.node("MatMul", [b.softmax(logits), value]), 0, 2, 1, 3)
    return b.matmul(b.reshape(mixed, -1, tokens, heads * size), width)


def _class_token(b: Builder, patches: str) -> str:
    """One learned token per image: Expand to the batch, then Concat before the patches."""
    width = b.size(patches, 2)
    batch = b.slice(b.node("Shape", [patches]), 0, 1, axis=0)
    token = b.const(b.uniform([1, 1, width], -0.5, 0.5), "token")
    return b.concat(b.node("Expand", [token, b.concat(batch, b.ints(1, width), axis=0)]), patches)


def vit() -> onnx.ModelProto:
    """Patch conv, class token, positions, pre-norm blocks of attention and a Gelu MLP, head on the token."""
    b = Builder("vit")
    width, heads, size = 48, 4, 12
    patches = b.conv(b.input("x", ["N", 3, 16, 16]), width, k=4, stride=4, pad=0)
    patches = b.transpose(b.reshape(patches, 0, width, 16), 0, 2, 1)
    h = b.add(_class_token(b, patches), b.const(b.uniform([1, 17, width], -0.3, 0.3), "position"))
    for _ in range(2):
        h = b.add(h, fused_attention(b, b.layer_norm(h), heads, size))
        h = b.add(h, b.matmul(b.gelu(b.matmul(b.layer_norm(h), 96)), width))
    return b.model(b.gemm(b.gather(b.layer_norm(h), 0, axis=1), 10))
