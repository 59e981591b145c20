"""Arguments of operators that move data: attributes in old operator sets, inputs since; read here and nowhere else.

``read`` gives the value of an input, None where that is computed at run time; so then do the functions here. By default
it reads constants only. Axes and places are counted as numpy counts them, from the back where negative.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import ParamSpec, TypeVar

import numpy as np

from .handles import Array, Node, Tensor

Read = Callable[[Tensor], Array | None]

_ONE_AXIS = 13  # the operator set since which a softmax works over one axis
_FLOAT_MAX = float(np.finfo(np.float32).max)
_P = ParamSpec("_P")
_T = TypeVar("_T")


class _Computed(Exception):
    """An argument is computed at run time, or missing."""


def _known(reader: Callable[_P, _T]) -> Callable[_P, _T | None]:
    """Let a reader return None where an argument is computed."""

    @wraps(reader)
    def run(*args: _P.args, **options: _P.kwargs) -> _T | None:
        try:
            return reader(*args, **options)
        except _Computed:
            return None

    return run


def stored(tensor: Tensor) -> Array | None:
    """Return the value of a constant, None of any other tensor."""
    return tensor.array if tensor.is_constant else None


def axis(node: Node, opset: int, rank: int) -> int:
    """Return the axis of Concat, Split, Gather, Flatten, DequantizeLinear and their like, counted from the front."""
    return int(node.attribute("axis", opset, 1)) % max(rank, 1)


def softmax_axes(node: Node, opset: int, rank: int) -> list[int]:
    """Return the axes that a Softmax, LogSoftmax or Hardmax works over: before opset 13 all from the one it names."""
    first = axis(node, opset, rank)
    return list(range(first, rank)) if opset < _ONE_AXIS else [first]


def permutation(node: Node, opset: int, rank: int) -> list[int]:
    """Return the axes of the input in the order a Transpose puts them."""
    return [int(place) for place in node.attribute("perm", opset) or range(rank - 1, -1, -1)]


def shape_span(node: Node, opset: int) -> slice:
    """Return which dimensions a Shape gives."""
    end = node.attribute("end", opset)
    return slice(int(node.attribute("start", opset, 0)), None if end is None else int(end))


@_known
def axes(node: Node, opset: int, read: Read = stored) -> list[int]:
    """Return the axes that a Squeeze, Unsqueeze or reduction names, as written; empty where it names none."""
    return _list(node, opset, 1, "axes", read) or []


def reduced_axes(node: Node, opset: int, rank: int, read: Read = stored) -> list[int] | None:
    """Return the axes that a reduction, ArgMax or ArgMin works over, counted from the front."""
    if node.op in ("ArgMax", "ArgMin"):
        return [axis(node, opset, rank)]
    named = axes(node, opset, read)
    if named == [] and not node.attribute("noop_with_empty_axes", opset, 0):
        return list(range(rank))
    return None if named is None else [place % rank for place in named]


@_known
def spans(node: Node, opset: int, rank: int, read: Read = stored) -> dict[int, slice]:
    """Return a python slice for every axis that a Slice names, by axis counted from the front."""
    starts, ends = (_list(node, opset, index, name, read) for index, name in ((1, "starts"), (2, "ends")))
    if starts is None or ends is None:
        raise _Computed
    named = _list(node, opset, 3, "axes", read) or range(len(starts))
    steps = _list(node, opset, 4, "steps", read) or [1] * len(starts)
    rows = zip(named, starts, ends, steps, strict=True)
    return {place % rank: slice(start, end, step) for place, start, end, step in rows}


@_known
def reshape_target(node: Node, opset: int, shape: tuple[int, ...], read: Read = stored) -> list[int]:
    """Return the target of a Reshape of a tensor of ``shape``: zeros are filled in, a -1 stays."""
    target = _list(node, opset, 1, "shape", read)
    if target is None:
        raise _Computed
    if node.attribute("allowzero", opset, 0):
        return target
    return [size or shape[place] for place, size in enumerate(target)]


@dataclass(frozen=True)
class Padding:
    """What a Pad adds before and after each axis (it crops where negative); ``value`` is None where computed."""

    mode: str
    widths: list[tuple[int, int]]
    value: float | None

    @property
    def axes(self) -> list[int]:
        """The axes that change."""
        return [place for place, width in enumerate(self.widths) if any(width)]


@_known
def padding(node: Node, opset: int, rank: int, read: Read = stored) -> Padding:
    """Return the mode, the widths and the value of a Pad."""
    amounts = _list(node, opset, 1, "pads", read)
    if amounts is None:
        raise _Computed
    named = _list(node, opset, 3, "axes", read) or range(rank)
    widths = [(0, 0)] * rank
    for place, before, after in zip(named, amounts[: len(named)], amounts[len(named) :], strict=True):
        widths[place] = before, after
    return Padding(str(node.attribute("mode", opset, "constant")), widths, _number(node, opset, 2, "value", 0.0, read))


def clip_bounds(node: Node, opset: int, read: Read = stored) -> tuple[float, float] | None:
    """Return the least and the largest value a Clip gives: infinite where it has none, or float32 has no larger."""
    low = _number(node, opset, 1, "min", -np.inf, read)
    high = _number(node, opset, 2, "max", np.inf, read)
    if low is None or high is None:
        return None
    return (low if low > -_FLOAT_MAX else -np.inf), (high if high < _FLOAT_MAX else np.inf)


def _given(node: Node, index: int) -> Tensor | None:
    """Return an input, None where it is omitted."""
    return node.inputs[index] if index < len(node.inputs) and node.inputs[index].name else None


def _list(node: Node, opset: int, index: int, name: str, read: Read) -> list[int] | None:
    """Return a list of integers given as an input, or as an attribute; None where it is neither."""
    tensor = _given(node, index)
    if tensor is None:
        written = node.attribute(name, opset)
        return None if written is None else [int(value) for value in written]
    values = read(tensor)
    if values is None:
        raise _Computed
    return [int(value) for value in values.ravel()]


def _number(node: Node, opset: int, index: int, name: str, default: float, read: Read) -> float | None:
    """Return a number given as an input, or as an attribute; None where it is computed."""
    tensor = _given(node, index)
    if tensor is None:
        return float(node.attribute(name, opset, default))
    value = read(tensor)
    return None if value is None else float(value.ravel()[0])
