"""The operators that a recurrent cell is written with, on constants and on :class:`.terms.Sum`."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from ....ir.arguments import axes, axis, permutation, spans
from ....ir.graph import Array, Node
from .terms import Sum, Unlike

Value = Array | Sum
_FAR = 2**31 - 1
_FUNCTIONS = ("Relu", "Sigmoid", "Tanh")


def computed(node: Node, values: list[Value], opset: int) -> list[Value]:
    """Return what a node makes of its inputs. Raises Unlike for what no cell is written with."""
    rule = None if node.domain else _RULES.get(node.op)
    if rule is None:
        raise Unlike
    return list(rule(node, values, opset))


def _as_sum(value: Value) -> Sum:
    return value if isinstance(value, Sum) else Sum.constant(value)


def _pairwise(node: Node, values: list[Value], _opset: int) -> Iterator[Value]:
    left, right = map(_as_sum, values)
    yield left.times(right) if node.op == "Mul" else left.plus(right, 1 if node.op == "Add" else -1)


def _matmul(_node: Node, values: list[Value], _opset: int) -> Iterator[Value]:
    left, matrix = values
    if isinstance(matrix, Sum) or not isinstance(left, Sum):
        raise Unlike
    yield left.through(matrix)


def _gemm(node: Node, values: list[Value], opset: int) -> Iterator[Value]:
    left, matrix = values[:2]
    if isinstance(matrix, Sum) or not isinstance(left, Sum) or node.attribute("transA", opset, 0):
        raise Unlike
    turned = matrix.T if node.attribute("transB", opset, 0) else matrix
    product = left.through(turned * matrix.dtype.type(node.attribute("alpha", opset, 1.0)))
    if len(values) > 2:
        beta = np.array(node.attribute("beta", opset, 1.0), np.float64)
        product = product.plus(_as_sum(values[2]).times(Sum.constant(beta)))
    yield product


def _function(node: Node, values: list[Value], _opset: int) -> Iterator[Value]:
    yield _as_sum(values[0]).applied(node.op)


def _neg(_node: Node, values: list[Value], _opset: int) -> Iterator[Value]:
    yield Sum.constant(np.zeros((), np.float64)).plus(_as_sum(values[0]), -1)


def _identity(_node: Node, values: list[Value], _opset: int) -> Iterator[Value]:
    yield values[0]


def _split(node: Node, values: list[Value], opset: int) -> Iterator[Value]:
    value = values[0]
    rank = 2 if isinstance(value, Sum) else value.ndim
    place = axis(node, opset, rank) if "axis" in node.attributes else 0
    size = value.width if isinstance(value, Sum) else value.shape[place]
    start, lengths = 0, _lengths(node, values, size)
    if min(lengths) < 0 or sum(lengths) != size:
        raise Unlike
    for length in lengths:
        yield _part(value, {place: slice(start, start + length)})
        start += length


def _lengths(node: Node, values: list[Value], size: int) -> list[int]:
    given = node.attributes.get("split", values[1] if len(values) > 1 else None)
    if isinstance(given, Sum):
        raise Unlike
    if given is not None:
        return [int(length) for length in given]
    step = -(-size // len(node.outputs))
    return [min(step, size - start) for start in range(0, size, step)]


def _slice(node: Node, values: list[Value], opset: int) -> Iterator[Value]:
    found = spans(node, opset, 2 if isinstance(values[0], Sum) else values[0].ndim)
    if found is None:
        raise Unlike
    yield _part(values[0], found)


def _part(value: Value, found: dict[int, slice]) -> Value:
    if not isinstance(value, Sum):
        return value[tuple(found.get(place, slice(None)) for place in range(value.ndim))]
    samples = found.get(0, slice(0, _FAR, 1))
    start, stop, step = found.get(1, slice(None)).indices(value.width)
    if samples.start or samples.stop < _FAR or samples.step not in (1, None) or step != 1:
        raise Unlike
    return value.part(start, max(start, stop))


def _moved(node: Node, values: list[Value], opset: int) -> Iterator[Value]:
    value = values[0]
    if isinstance(value, Sum):
        raise Unlike
    places = permutation(node, opset, value.ndim) if node.op == "Transpose" else axes(node, opset)
    if places is None:
        raise Unlike
    if node.op == "Transpose":
        yield value.transpose(places)
    else:
        yield np.squeeze(value, tuple(places) or None) if node.op == "Squeeze" else np.expand_dims(value, places)


_Rule = Callable[[Node, list[Value], int], Iterator[Value]]
_RULES: dict[str, _Rule] = {
    "Add": _pairwise,
    "Gemm": _gemm,
    "Identity": _identity,
    "MatMul": _matmul,
    "Mul": _pairwise,
    "Neg": _neg,
    "Slice": _slice,
    "Split": _split,
    "Squeeze": _moved,
    "Sub": _pairwise,
    "Transpose": _moved,
    "Unsqueeze": _moved,
    **dict.fromkeys(_FUNCTIONS, _function),
}
