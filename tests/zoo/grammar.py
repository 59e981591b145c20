"""Random small networks: a grammar of layers and data movement, drawn by hypothesis.

Every step takes a tensor that exists, often the newest, and adds one operator or one idiom to it. Sizes stay tiny, so
that channels of different origin soon meet in one tensor. Axis 0 is the batch, symbolic, and stays where it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import prod

import numpy as np
import onnx
from hypothesis import strategies as st

from .builder import Builder

Draw = Callable[[st.SearchStrategy[int]], int]

_LARGEST = 96
_UNARY = ("Relu", "Sigmoid", "LeakyRelu", "Abs", "Tanh", "Neg", "Identity", "HardSigmoid", "Softplus", "Exp")
_BINARY = ("Add", "Mul", "Sub", "Max", "Min")


@dataclass
class Sketch:
    """A network being drawn: its builder, its tensors so far, and the source of choices."""

    b: Builder
    draw: Draw
    tensors: list[str] = field(default_factory=list)

    def number(self, low: int, high: int) -> int:
        """Draw an integer, both ends included."""
        return self.draw(st.integers(low, high))

    def pick(self, items: Sequence[int | str]) -> int:
        """Draw a place in a sequence."""
        return self.number(0, len(items) - 1)

    def sizes(self, x: str) -> list[int]:
        """Lengths of all axes but the batch."""
        return [self.b.size(x, axis) for axis in range(1, len(self.b.shape(x)))]

    def rank(self, x: str) -> int:
        """Number of axes."""
        return len(self.b.shape(x))

    def axis(self, x: str) -> int:
        """Draw an axis, not the batch."""
        return self.number(1, self.rank(x) - 1)

    def like(self, x: str) -> list[str]:
        """List the tensors of the same shape as ``x``."""
        return [t for t in self.tensors if self.b.shape(t) == self.b.shape(x)]


# --- layers with weights -----------------------------------------------------------------------------------


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


# --- elementwise -------------------------------------------------------------------------------------------


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


# --- data movement -----------------------------------------------------------------------------------------


def concat(s: Sketch, x: str) -> str | None:
    """Join two or three tensors that agree but for one axis."""
    axis = s.axis(x)
    fits = [t for t in s.tensors if s.rank(t) == s.rank(x) and _without(s.sizes(t), axis) == _without(s.sizes(x), axis)]
    parts = [x, *(fits[s.pick(fits)] for _ in range(s.number(1, 2)))]
    return s.b.concat(*parts, axis=axis - s.rank(x) * s.number(0, 1))


def _without(sizes: list[int], axis: int) -> list[int]:
    return [size for place, size in enumerate(sizes, 1) if place != axis]


def split(s: Sketch, x: str) -> str | None:
    """Split an axis in two; both parts may be used later."""
    axis = s.axis(x)
    size = s.b.size(x, axis)
    if size < 2:
        return None
    first = s.number(1, size - 1)
    parts = s.b.split(x, first, size - first, axis=axis)
    s.tensors.append(parts[0])
    return parts[1]


def slice_(s: Sketch, x: str) -> str | None:
    """Any start, end and step, backwards too."""
    axis = s.axis(x)
    size = s.b.size(x, axis)
    start, end = sorted((s.number(0, size - 1), s.number(0, size - 1)))
    step = s.number(1, 3)
    if s.number(0, 1):
        return s.b.slice(x, end, start - 1 if start else -size - 1, axis, -step)
    return s.b.slice(x, start - size * s.number(0, 1), end + 1 if s.number(0, 1) else 2**31 - 1, axis, step)


def gather(s: Sketch, x: str) -> str | None:
    """Stored indices: a permutation, a choice with repeats, a matrix, or one index that drops the axis."""
    axis = s.axis(x)
    size = s.b.size(x, axis)
    kind = s.number(0, 3)
    if kind == 0 and s.rank(x) > 2:
        return s.b.gather(x, s.number(-size, size - 1), axis)
    if kind == 1:
        return s.b.gather(x, s.b.rng.permutation(size).tolist(), axis)
    form = [2, s.number(1, 3)] if kind == 2 and s.rank(x) < 5 else [s.number(1, size + 1)]
    indices = s.b.const(s.b.rng.integers(0, size, form))
    return s.b.node("Gather", [x, indices], axis=axis)


def pad(s: Sketch, x: str) -> str:
    """Pad one axis with a constant, at either end."""
    axis, rank = s.axis(x), s.rank(x)
    amounts = [0] * (2 * rank)
    amounts[axis], amounts[axis + rank] = s.number(0, 2), s.number(0, 2)
    value = s.b.const((0.0, 0.7)[s.number(0, 1)])
    return s.b.node("Pad", [x, s.b.ints(*amounts), value])


def transpose(s: Sketch, x: str) -> str:
    """Any order of the axes after the batch."""
    perm = s.draw(st.permutations(range(1, s.rank(x))))  # type: ignore[arg-type, var-annotated]
    return s.b.transpose(x, 0, *perm)  # type: ignore[misc]


def split_axis(s: Sketch, x: str) -> str | None:
    """Reshape one axis into two factors."""
    axis = s.axis(x)
    size = s.b.size(x, axis)
    factors = [d for d in range(1, size + 1) if size % d == 0]
    first = factors[s.pick(factors)]
    if s.rank(x) > 4:
        return None
    sizes = s.sizes(x)
    return s.b.reshape(x, -1, *sizes[: axis - 1], first, size // first, *sizes[axis:])


def merge_axes(s: Sketch, x: str) -> str | None:
    """Reshape two neighbouring axes into one."""
    if s.rank(x) < 3:
        return None
    sizes = s.sizes(x)
    axis = s.number(0, len(sizes) - 2)
    return s.b.reshape(x, -1, *sizes[:axis], sizes[axis] * sizes[axis + 1], *sizes[axis + 2 :])


def refactor(s: Sketch, x: str) -> str | None:
    """Reshape all axes to another product of the same size."""
    size = prod(s.sizes(x))
    factors = [d for d in range(1, size + 1) if size % d == 0]
    first = factors[s.pick(factors)]
    rest = [d for d in range(1, size // first + 1) if size // first % d == 0]
    second = rest[s.pick(rest)]
    return s.b.reshape(x, -1, first, second, size // first // second)


def shuffle(s: Sketch, x: str) -> str | None:
    """Channel shuffle."""
    if s.rank(x) != 4 or s.sizes(x)[0] % 2:
        return None
    return s.b.shuffle(x, (2, s.sizes(x)[0] // 2)[s.number(0, 1)])


def flatten(s: Sketch, x: str) -> str:
    """Flatten all but the batch."""
    return s.b.flatten(x)


def picture(s: Sketch, x: str) -> str | None:
    """Reshape to four axes, so that convolutions can follow."""
    sizes = s.sizes(x)
    if len(sizes) == 1:
        return s.b.reshape(x, -1, sizes[0], 1, 1)
    if len(sizes) == 2:
        return s.b.unsqueeze(x, 3)
    return s.b.reshape(x, -1, sizes[0], prod(sizes[1:-1]), sizes[-1]) if len(sizes) > 3 else None


def squeeze(s: Sketch, x: str) -> str | None:
    """Drop an axis of length 1."""
    axes = [axis for axis, size in enumerate(s.sizes(x), 1) if size == 1]
    return s.b.squeeze(x, axes[s.pick(axes)]) if axes and s.rank(x) > 2 else None


def repeat(s: Sketch, x: str) -> str | None:
    """Tile one axis, or Expand one of length 1."""
    axis = s.axis(x)
    counts = [1] * s.rank(x)
    counts[axis] = s.number(1, 3)
    if s.b.size(x, axis) == 1 and s.number(0, 1):
        return s.b.node("Expand", [x, s.b.ints(*counts)])
    return s.b.node("Tile", [x, s.b.ints(*counts)])


def space(s: Sketch, x: str) -> str | None:
    """DepthToSpace, SpaceToDepth or Resize, by 2."""
    if s.rank(x) != 4:
        return None
    channels, height, width = s.sizes(x)
    if channels % 4 == 0 and s.number(0, 1):
        return s.b.node("DepthToSpace", [x], blocksize=2, mode=("DCR", "CRD")[s.number(0, 1)])
    if height % 2 == 0 and width % 2 == 0:
        return s.b.node("SpaceToDepth", [x], blocksize=2)
    return s.b.node("Resize", [x, "", s.b.const([1.0, 1.0, 2.0, 2.0])], mode="nearest")


LAYERS: tuple[Callable[[Sketch, str], str | None], ...] = (
    conv, conv, conv_transpose, matmul, matmul_from_left, gemm, attend, norm, constant_operand,
    unary, binary, broadcast, gate, residual, pool, reduce,
    concat, split, slice_, gather, pad, transpose, split_axis, merge_axes, refactor, shuffle, flatten, picture,
    squeeze, repeat, space,
)  # fmt: skip


@st.composite
def networks(draw: Draw, steps: int = 12) -> onnx.ModelProto:
    """Draw a network of at most ``steps`` layers, closed by one or two linear heads."""
    s = Sketch(Builder("grammar", opset=17), draw)
    side = s.number(1, 4)
    s.tensors.append(s.b.conv(s.b.input("x", ["N", 3, side, s.number(1, 4)]), s.number(2, 8)))
    for _ in range(s.number(2, steps)):
        x = s.tensors[-1 - min(s.number(0, 4), len(s.tensors) - 1)]
        y = LAYERS[s.number(0, len(LAYERS) - 1)](s, x)
        if y is not None and 0 < prod(s.sizes(y)) <= _LARGEST and s.rank(y) < 6:
            s.tensors.append(y)
    ends = {s.tensors[-1], s.tensors[s.pick(s.tensors)]}
    return s.b.model(*[s.b.gemm(s.b.flatten(end), 3) for end in sorted(ends)])
