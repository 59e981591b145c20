"""Data movement."""

from __future__ import annotations

from math import prod

from hypothesis import strategies as st

from .sketch import Sketch


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
