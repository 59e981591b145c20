"""Operators that are written in others before there is a gradient, those of onnxruntime slow and obvious in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx.reference.op_run import OpRun

from .case import Array, Case, spread

MICROSOFT = "com.microsoft"
LEAST = -10000.0


class MeanVarianceNormalization(OpRun):
    """onnx's mixes float32 and float64."""

    op_domain = ""

    def _run(self, x: Array, axes: Any = None) -> tuple[Array]:
        along = tuple(axes or (0, 2, 3))
        return ((x - x.mean(along, keepdims=True)) / (x.std(along, keepdims=True) + 1e-9),)


class LpNormalization(OpRun):
    """onnx's sums signed entries."""

    op_domain = ""

    def _run(self, x: Array, axis: int = -1, p: int = 2) -> tuple[Array]:
        return (x / (np.abs(x) ** p).sum(axis, keepdims=True) ** (1 / p),)


class LRN(OpRun):
    """onnx's counts samples for channels."""

    op_domain = ""

    def _run(self, x: Array, size: int, alpha: float = 1e-4, beta: float = 0.75, bias: float = 1.0) -> tuple[Array]:
        before, y = (size - 1) // 2, np.zeros_like(x)
        for place in range(x.shape[1]):
            around = x[:, max(0, place - before) : place - before + size]
            y[:, place] = x[:, place] / (bias + alpha / size * (around**2).sum(1)) ** beta
        return (y,)


class GridSample(OpRun):
    """onnx's rounds places to float32. One place after the other, pixel by pixel."""

    op_domain = ""

    def _run(self, x: Array, grid: Array, align_corners: int = 0, mode: str = "linear", **form: Any) -> tuple[Array]:
        y = np.zeros((*x.shape[:2], *grid.shape[1:3]))
        for sample, row, column in np.ndindex(*grid.shape[:3]):
            places = []
            for size, at in zip(x.shape[2:], grid[sample, row, column, ::-1], strict=True):
                place = (at + 1) * (size - 1) / 2 if align_corners else ((at + 1) * size - 1) / 2
                place = np.clip(place, 0, size - 1) if form.get("padding_mode") == "border" else place
                places.append(np.round(place) if mode == "nearest" else place)
            for pixel in np.ndindex(*x.shape[2:]):
                near = [max(0.0, 1 - abs(place - at)) for place, at in zip(places, pixel, strict=True)]
                y[sample, :, row, column] += near[0] * near[1] * x[(sample, slice(None), *pixel)]
        return (y,)


class FastGelu(OpRun):
    """By a tanh, of x and a bias."""

    op_domain = MICROSOFT

    def _run(self, x: Array, bias: Array | None = None) -> tuple[Array]:
        x = x if bias is None else x + bias
        return (x / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))),)


class MultiHeadAttention(OpRun):
    """One head of one sample after the other."""

    op_domain = MICROSOFT

    def _run(
        self,
        q: Array,
        k: Array,
        v: Array,
        bias: Array | None = None,
        mask: Array | None = None,
        added: Array | None = None,
        num_heads: int = 1,
        **form: Any,
    ) -> tuple[Array]:
        if bias is not None:
            ends = np.cumsum([q.shape[-1], k.shape[-1]])
            q, k, v = (x + b for x, b in zip((q, k, v), np.split(bias, ends), strict=True))
        seen = _seen(q.shape[1], k.shape[1], len(q), mask, bool(form.get("unidirectional")))
        y = np.zeros((*q.shape[:2], v.shape[-1]))
        for sample in range(len(q)):
            for head in range(num_heads):
                a, b, c = (np.split(x[sample], num_heads, -1)[head] for x in (q, k, v))
                scores = a @ b.T * (form.get("scale") or a.shape[-1] ** -0.5) + LEAST * (1 - seen[sample])
                if added is not None:
                    scores = scores + added[sample % len(added), head % added.shape[1]]
                shares = np.exp(scores - scores.max(-1, keepdims=True))
                width = c.shape[-1]
                mixed = shares / shares.sum(-1, keepdims=True) @ c
                y[sample, :, head * width : (head + 1) * width] = mixed
        return (y,)


def _seen(queries: int, keys: int, batch: int, mask: Array | None, causal: bool) -> Array:
    seen = np.ones((batch, queries, keys))
    if mask is not None and mask.ndim == 1:
        seen *= np.arange(keys) < mask[:, None, None]
    elif mask is not None:
        seen *= mask.reshape(batch, -1, keys) > 0
    return np.tril(seen) if causal else seen


REPLACED_LOWERED = [MeanVarianceNormalization, LpNormalization, LRN, GridSample, FastGelu, MultiHeadAttention]

X = spread(3, 17)
Q, K, V = spread(2, 3, 4), spread(2, 5, 4, seed=2), spread(2, 5, 6, seed=3)
SIDE = spread(2, 5, 4, seed=5)
_TOKENS = spread(2, 3, 4, 6)


def _heads(*operands: Array | None, opset: int = 18, **form: Any) -> Case:
    return Case("MultiHeadAttention", *operands, opset=opset, domain=MICROSOFT, num_heads=2, **form)


def _attention(*operands: Array | None, **form: Any) -> Case:
    return Case("Attention", *operands, opset=23, **form)


def _four(heads: int, length: int, width: int, seed: int = 0) -> Array:
    return spread(2, heads, length, width, seed=seed)


_POOL: dict[str, Any] = {"kernel_shape": [2, 2], "strides": [2, 2]}
_SEEN = spread(2, 3, 4, 5), spread(2, 2, 3, 2, low=-1.3, high=1.3)
LOWERED = [
    *(Case("GridSample", *_SEEN, align_corners=edges) for edges in (0, 1)),
    Case("GridSample", *_SEEN, padding_mode="border"),
    Case("GridSample", *_SEEN, opset=20, mode="nearest"),
    Case("MaxUnpool", spread(1, 2, 2, 2), np.array([[[[5, 6], [8, 10]], [[16, 19], [26, 31]]]]), **_POOL),
    Case("LpNormalization", X),
    Case("LpNormalization", X, axis=0, p=1),
    Case("LpNormalization", X - X[:1, :1], axis=0),
    Case("LRN", spread(2, 5, 3, 2), size=3, alpha=0.3, beta=0.6, bias=1.2),
    Case("LRN", spread(2, 5, 1, 4), size=5),
    Case("Celu", X, alpha=0.7),
    Case("Mish", X),
    Case("Softsign", X),
    Case("ThresholdedRelu", X, alpha=0.4),
    Case("Shrink", X, lambd=0.4, bias=0.1),
    Case("MeanVarianceNormalization", spread(2, 3, 2, 2)),
    Case("MeanVarianceNormalization", 30 + spread(1, 2, 3, 3, low=-0.2, high=0.2), axes=[2, 3]),
    Case("RMSNormalization", X, spread(17, low=0.5), opset=23),
    Case("RMSNormalization", spread(2, 3, 4), spread(3, 4, low=0.5), opset=23, axis=1, epsilon=0.1),
    Case("Swish", X, opset=24, alpha=0.7),
    _heads(Q, K, V),
    _heads(Q, K, V, spread(14, seed=4), scale=0.3),
    _heads(Q, K, V, None, np.array([5, 2], np.int32)),
    _heads(Q, K, V, None, np.array([[2, 1, 0, 1, 0], [1, 1, -1, 1, 1]], np.int32)),
    _heads(Q, K, V, None, None, spread(1, 2, 3, 5, seed=6)),
    _heads(SIDE, K, V, unidirectional=1),
    _attention(_four(2, 3, 4), _four(2, 5, 4, 2), _four(2, 5, 6, 3)),
    _attention(_four(4, 3, 4), _four(2, 5, 4, 2), _four(2, 5, 6, 3), is_causal=1),
    _attention(Q, K, V, q_num_heads=2, kv_num_heads=2, scale=0.3),
    _attention(_four(2, 3, 4), _four(2, 5, 4, 2), _four(2, 5, 6, 3), spread(3, 5, seed=7), softcap=2.0),
    Case("RotaryEmbedding", _TOKENS, spread(2, 4, 3), spread(2, 4, 3, seed=2), opset=23),
    Case("RotaryEmbedding", _TOKENS, spread(2, 4, 3), spread(2, 4, 3, seed=2), opset=23, interleaved=1),
]
