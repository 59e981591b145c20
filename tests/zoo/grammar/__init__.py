"""Random small networks: a grammar of layers and data movement, drawn by hypothesis.

Every step takes a tensor that exists, often the newest, and adds one operator or one idiom to it. Sizes stay tiny, so
that channels of different origin soon meet in one tensor. Axis 0 is the batch, symbolic, and stays where it is.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import numpy as np
import onnx
from hypothesis import strategies as st

from ..builder import Builder
from . import elementwise, idioms, layers, movement, reuse
from .sketch import Draw, Sketch

_LARGEST = 96
_STEPS: tuple[Callable[[Sketch, str], str | None], ...] = (
    layers.conv, layers.conv, layers.conv_transpose, layers.matmul, layers.matmul_from_left, layers.gemm,
    layers.attend, layers.norm, layers.constant_operand,
    elementwise.unary, elementwise.binary, elementwise.broadcast, elementwise.gate, elementwise.residual,
    elementwise.pool, elementwise.reduce,
    movement.concat, movement.split, movement.slice_, movement.gather, movement.pad, movement.transpose,
    movement.split_axis, movement.merge_axes, movement.refactor, movement.shuffle, movement.flatten,
    movement.picture, movement.squeeze, movement.repeat, movement.space,
    idioms.shared_conv, idioms.kept_conv, idioms.tied_matmul, idioms.watched_weight, idioms.computed_weight,
    idioms.quantised, idioms.shared_constant, idioms.lookup, idioms.where, idioms.einsum, idioms.recurrent,
    idioms.heads, idioms.concat_constant, idioms.several_axes,
    reuse.read_twice, reuse.read_as_product_and_sum, reuse.similarity, reuse.one_vector, reuse.one_matrix,
    reuse.captured, reuse.mixed_scales, reuse.sequence, reuse.listed,
)  # fmt: skip


@st.composite
def networks(draw: Draw, steps: int = 12) -> onnx.ModelProto:
    """Draw a network of at most ``steps`` steps, closed by one or two linear heads."""
    s = Sketch(Builder("grammar", opset=17), draw)
    side = s.number(1, 4)
    batch = ("N", 1)[s.number(0, 1)]
    s.tensors.append(s.b.conv(s.b.input("x", [batch, 3, side, s.number(1, 4)]), s.number(2, 8)))
    for _ in range(s.number(2, steps)):
        x = s.tensors[-1 - min((0, 0, 0, 1, 2, 3, 5)[s.number(0, 6)], len(s.tensors) - 1)]
        y = _STEPS[s.number(0, len(_STEPS) - 1)](s, x)
        if y is not None and 0 < prod(s.sizes(y)) <= _LARGEST and 1 < s.rank(y) < 6:
            s.tensors.append(y)
    ends = sorted({s.tensors[-1], s.tensors[s.pick(s.tensors)]})
    outputs = [s.b.gemm(s.b.flatten(end), 3) for end in ends]
    if len(outputs) > 1 and s.number(0, 1):  # one output of parts that differ in scale
        outputs = [s.b.concat(s.b.mul(outputs[0], s.b.const(np.float32(100))), s.b.sigmoid(outputs[1]))]
    return s.b.model(*outputs)
