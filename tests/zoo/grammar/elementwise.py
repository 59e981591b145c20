"""Elementwise operators, gates, residual sums, pools and reductions."""

from __future__ import annotations

from .sketch import Sketch

_UNARY = ("Relu", "Sigmoid", "LeakyRelu", "Abs", "Tanh", "Neg", "Identity", "HardSigmoid", "Softplus", "Exp")
_BINARY = ("Add", "Mul", "Sub", "Max", "Min")


def unary(s: Sketch, x: str) -> str:
    """One of the operators on single elements."""
    y = s.b.node(_UNARY[s.pick(_UNARY)], [x])
    return s.b.node("Clip", [y, s.b.const(-3.0), s.b.const(3.0)])


def binary(s: Sketch, x: str) -> str:
    """Combine with a tensor of the same shape."""
    y = s.like(x)[s.pick(s.like(x))]
    return s.b.node(_BINARY[s.pick(_BINARY)], [x, y])


def broadcast(s: Sketch, x: str) -> str | None:
    """Combine with any tensor that broadcasts."""
    fits = [t for t in s.tensors if _broadcasts(s.sizes(t), s.sizes(x))]
    y = fits[s.pick(fits)]
    return s.b.node(_BINARY[s.pick(_BINARY)], [x, y] if s.number(0, 1) else [y, x])


def _broadcasts(small: list[int], large: list[int]) -> bool:
    return len(small) == len(large) and all(a in (1, b) or b == 1 for a, b in zip(small, large, strict=True))


def gate(s: Sketch, x: str) -> str | None:
    """Squeeze and excitation."""
    if s.rank(x) != 4:
        return None
    return s.b.mul(x, s.b.sigmoid(s.b.conv(s.b.gap(x), s.sizes(x)[0], 1)))


def residual(s: Sketch, x: str) -> str | None:
    """Add a convolution of any tensor of the same picture size."""
    fits = [t for t in s.tensors if s.rank(t) == 4 and s.sizes(t)[1:] == s.sizes(x)[1:]]
    if s.rank(x) != 4 or not fits:
        return None
    return s.b.add(x, s.b.conv(fits[s.pick(fits)], s.sizes(x)[0]))


def pool(s: Sketch, x: str) -> str | None:
    """Global or local pooling."""
    if s.rank(x) != 4:
        return None
    if min(s.sizes(x)[1:]) < 2 or s.number(0, 1):
        return s.b.node(("GlobalAveragePool", "GlobalMaxPool")[s.number(0, 1)], [x])
    return s.b.node(("MaxPool", "AveragePool")[s.number(0, 1)], [x], kernel_shape=[2, 2], strides=[2, 2])


def reduce(s: Sketch, x: str) -> str:
    """ReduceSum or ReduceMean over one axis."""
    axis, keep = s.axis(x), 1 if s.rank(x) == 2 else s.number(0, 1)
    if s.number(0, 1):
        return s.b.mean(x, axis, keepdims=keep)
    return s.b.reduce_sum(x, axis, keepdims=keep)
