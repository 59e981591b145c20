"""What is read more than once, or from elsewhere: one tensor twice by a node, shared constants, captures, sequences."""

from __future__ import annotations

import numpy as np

from ..builder import Builder
from .sketch import Sketch


def read_twice(s: Sketch, x: str) -> str:
    """One operator that reads a tensor as both of its operands, scaled by channel before or not."""
    read = s.b.mul(x, s.b.vector(s.sizes(x)[-1], 0.5, 2)) if s.number(0, 1) else x
    op = ("Add", "Mul", "Max", "Sub", "Concat")[s.number(0, 4)]
    if op == "Concat":
        return s.b.concat(read, read, axis=s.axis(x))
    return s.b.node(op, [read, read])


def read_as_product_and_sum(s: Sketch, x: str) -> str | None:
    """Gemm that reads a tensor as A and as C, both scaled by channel."""
    if s.rank(x) != 2:
        return None
    width = s.sizes(x)[0]
    scaled = s.b.mul(x, s.b.vector(width, 0.5, 2))
    return s.b.node("Gemm", [scaled, s.b.weight([width, width]), scaled])


def similarity(s: Sketch, x: str) -> str | None:
    """MatMul of a tensor and its own transpose."""
    return s.b.node("MatMul", [x, s.b.transpose(x, 0, 2, 1)]) if s.rank(x) == 3 else None


def one_vector(s: Sketch, x: str) -> str | None:
    """One stored vector as the bias of two layers, or of one and as a scale, as exporters merge equal constants."""
    if s.rank(x) not in (2, 4):
        return None
    width = s.number(2, 6)
    vector = s.b.vector(width)
    if s.rank(x) == 4:
        first, second = (s.b.conv_with(x, [s.b.weight([width, s.sizes(x)[0], 1, 1]), vector], pad=0) for _ in range(2))
    else:
        weights = [s.b.weight([s.sizes(x)[0], width]) for _ in range(2)]
        first, second = (s.b.node("Gemm", [x, weight, vector]) for weight in weights)
    s.tensors.append(first)
    if s.number(0, 1) and s.rank(x) == 2:
        return s.b.mul(second, vector)
    return s.b.relu(second)


def one_matrix(s: Sketch, x: str) -> str:
    """One stored matrix in two layers that read different tensors."""
    width = s.sizes(x)[-1]
    weight = s.b.weight([width, s.number(1, 6)], fan_in=width)
    s.tensors.append(s.b.node("MatMul", [x, weight]))
    return s.b.node("MatMul", [s.b.relu(x), weight])


def captured(s: Sketch, x: str) -> str:
    """If whose branches read a tensor and a stored vector of the outer graph, which a layer may read as well."""
    vector = s.b.vector(s.sizes(x)[-1])
    outer = s.b.add(x, vector) if s.number(0, 1) else x
    branches = []
    for place, op in enumerate(("Mul", "Add")):
        inner = Builder(f"branch{place}", opset=s.b.opset, prefix=f"{outer}_{place}_")
        for name in (outer, vector):
            inner.declare(name, s.b.shape(name))
        branches.append(inner.graph(inner.node(op, [outer, vector])))
    condition = s.b.node("Greater", [s.b.reduce_sum(x, *range(s.rank(x)), keepdims=0), s.b.const(0.0)])
    result = s.b.node("If", [condition], then_branch=branches[0], else_branch=branches[1])
    return s.b.declare(result, s.b.shape(x))


def mixed_scales(s: Sketch, x: str) -> str:
    """A tensor joined with itself at another scale, as detectors join boxes and scores."""
    large, small = (s.b.mul(s.b.relu(x), s.b.const(np.float32(scale))) for scale in (10.0, 0.1))
    return s.b.concat(large, s.b.sigmoid(small), axis=s.axis(x))


def sequence(s: Sketch, x: str) -> str:
    """A tensor split into a sequence and joined again, or of which one piece is taken."""
    axis = s.axis(x)
    pieces = s.b.node("SplitToSequence", [x], axis=axis, keepdims=1)
    if s.number(0, 1):
        return s.b.declare(s.b.node("ConcatFromSequence", [pieces], axis=axis), s.b.shape(x))
    taken = s.b.node("SequenceAt", [pieces, s.b.const(np.int64(0))])
    return s.b.declare(taken, [1 if place == axis else size for place, size in enumerate(s.b.shape(x))])


def listed(s: Sketch, x: str) -> str:
    """A sequence made of a tensor and its negative, joined."""
    pieces = s.b.node("SequenceConstruct", [x, s.b.node("Neg", [x])])
    axis = s.axis(x)
    shape = s.b.shape(x)
    joined = s.b.node("ConcatFromSequence", [pieces], axis=axis)
    return s.b.declare(joined, [2 * s.b.size(x, axis) if place == axis else size for place, size in enumerate(shape)])
