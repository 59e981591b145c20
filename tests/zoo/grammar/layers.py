"""Layers with weights."""

from __future__ import annotations

from .sketch import Sketch

_BINARY = ("Add", "Mul", "Sub", "Max", "Min")


def conv(s: Sketch, x: str) -> str | None:
    """Conv, grouped as the channel counts allow, depthwise with a multiplier included."""
    if s.rank(x) != 4:
        return None
    cin = s.sizes(x)[0]
    group = _divisor(s, cin)
    cout = group * s.number(1, max(1, 12 // group))
    return s.b.conv(x, cout, k=(1, 3)[s.number(0, 1)], group=group, bias=bool(s.number(0, 1)))


def conv_transpose(s: Sketch, x: str) -> str | None:
    """ConvTranspose, grouped as the channel counts allow."""
    if s.rank(x) != 4 or max(s.sizes(x)[1:]) > 4:
        return None
    group = _divisor(s, s.sizes(x)[0])
    return s.b.conv_transpose(x, group * s.number(1, max(1, 8 // group)), group=group)


def _divisor(s: Sketch, number: int) -> int:
    found = [d for d in range(1, number + 1) if number % d == 0]
    return 1 if s.number(0, 1) else found[s.pick(found)]


def matmul(s: Sketch, x: str) -> str:
    """MatMul with a stored matrix, with or without an Add."""
    return s.b.matmul(x, s.number(1, 10), bias=bool(s.number(0, 1)))


def matmul_from_left(s: Sketch, x: str) -> str | None:
    """A stored matrix times the activations: mixes the last axis but one."""
    if s.rank(x) < 3:
        return None
    rows = s.b.size(x, -2)
    return s.b.node("MatMul", [s.b.weight([s.number(1, 8), rows], fan_in=rows), x])


def gemm(s: Sketch, x: str) -> str | None:
    """Gemm with the weight in either order, with a bias of one of three shapes."""
    if s.rank(x) != 2:
        return None
    cin, cout, transposed = s.sizes(x)[0], s.number(1, 10), s.number(0, 1)
    weight = s.b.weight([cout, cin] if transposed else [cin, cout], fan_in=cin)
    bias = [[], [s.b.vector(cout)], [s.b.const(s.b.uniform([1, cout], -1, 1))], [s.b.const(0.5)]][s.number(0, 3)]
    return s.b.node("Gemm", [x, weight, *bias], transB=transposed)


def attend(s: Sketch, x: str) -> str | None:
    """x @ yᵀ @ z over the last two axes, of tensors of one shape."""
    if s.rank(x) < 3:
        return None
    y, z = (s.like(x)[s.pick(s.like(x))] for _ in range(2))
    perm = [*range(s.rank(x) - 2), s.rank(x) - 1, s.rank(x) - 2]
    return s.b.node("MatMul", [s.b.sigmoid(s.b.node("MatMul", [x, s.b.transpose(y, *perm)])), z])


def norm(s: Sketch, x: str) -> str | None:
    """BatchNormalization, InstanceNormalization, PRelu, LayerNormalization or Softmax."""
    kind = s.number(0, 4)
    if kind == 0:
        return s.b.bn(x)
    if kind == 1 and s.rank(x) > 2:
        width = s.sizes(x)[0]
        return s.b.node("InstanceNormalization", [x, s.b.vector(width, 0.6, 1.4), s.b.vector(width)], epsilon=0.1)
    if kind == 2:
        return s.b.node("PRelu", [x, s.b.const(s.b.uniform([s.sizes(x)[0]] + [1] * (s.rank(x) - 2), 0, 1))])
    if kind == 3:
        return s.b.layer_norm(x)
    return s.b.softmax(x, s.axis(x))


def constant_operand(s: Sketch, x: str) -> str:
    """Combine with a constant that has a size or a 1 on every axis, leading axes left out or not."""
    sizes = [size if s.number(0, 1) else 1 for size in s.sizes(x)]
    extra = [1] * s.number(0, 1)
    return s.b.node(_BINARY[s.pick(_BINARY)], [x, s.b.const(s.b.uniform(extra + sizes, -1, 1))])
