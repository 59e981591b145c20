"""Operators that bring layers together: sums and concatenations, two at a time."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from math import prod

import numpy as np

from ....ir.arguments import axis as axis_of
from ....ir.graph import Node
from ..network import Addition, Concatenation, Layer, Multiplication, Upsampling
from .affine import by_constant, scaled
from .build import Build, Value, refusal
from .selection import image_of, image_places, selected, whole
from .stored import is_stored
from .views import View, find

_HOST = "run that part on the host"


def arithmetic(build: Build, node: Node) -> Value:
    """Lower Add, Sub, Mul or Div with a constant, and all but Div of two. Raises LoweringError for other pairs."""
    if any(is_stored(tensor) for tensor in node.inputs):
        return by_constant(build, node)
    if node.op == "Div":
        raise refusal(node, "both its inputs are computed, and hls4ml has no division", _HOST)
    second = build.read(node, 1)
    if node.op == "Mul":
        return product(build, node, build.read(node), second)
    if node.op == "Sub":
        second = scaled(build, node, second, -np.ones(()), np.zeros(()))
    return _sum(build, node, build.read(node), second)


def total(build: Build, node: Node) -> Value:
    """Lower a sum of one or more tensors of one shape as a chain of additions."""
    return reduce(lambda a, b: _sum(build, node, a, b), [build.read(node, i) for i in range(len(node.inputs))])


def _sum(build: Build, node: Node, first: Value, second: Value) -> Value:
    if first.places.shape != second.places.shape:
        raise refusal(node, f"it adds shapes {first.places.shape} and {second.places.shape}", _HOST)
    first, second = _aligned(build, node, first, second)
    inputs = (first.layer.name, second.layer.name)
    return Value(build.add(Addition(node.name, inputs, first.layer.shape, node.name)), first.places)


def product(build: Build, node: Node, first: Value, second: Value) -> Value:
    """Multiply two values of one shape, or a picture by a number for each channel."""
    if first.places.shape == second.places.shape:
        first, second = _aligned(build, node, first, second)
        return Value(_multiplied(build, node, first.layer, second.layer), first.places)
    one, other = sorted((first, second), key=lambda value: -value.places.size)
    for last in (False, True):
        gate = image_of(other.places, last)
        if gate is not None and gate.shape[1:] == (1, 1) and (layers := _pictures(build, node, [one], last)):
            spread = _spread(build, node, whole(build, node, other), layers[0])
            layer = _multiplied(build, node, layers[0], spread)
            return Value(layer, image_places(layer, one.places.shape, last))
    shapes = f"{first.places.shape} and {second.places.shape}"
    hint = "only equal shapes, and a picture and a number for each channel, are lowered here"
    raise refusal(node, f"it multiplies shapes {shapes}", hint)


def _spread(build: Build, node: Node, gate: Value, picture: Layer) -> Layer:
    """Repeat a number for each channel at all pixels of a picture."""
    if not np.array_equal(gate.places.ravel(), np.arange(picture.shape[-1])):
        raise refusal(node, "the numbers for channels come in another order", "transpose neither, or both")
    name = f"{node.name}_spread"
    return build.add(
        Upsampling(name, (gate.layer.name,), picture.shape, node.name, (picture.shape[0], picture.shape[1]))
    )


def _multiplied(build: Build, node: Node, one: Layer, other: Layer) -> Layer:
    return build.add(Multiplication(node.name, (one.name, other.name), one.shape, node.name))


def _aligned(build: Build, node: Node, first: Value, second: Value) -> tuple[Value, Value]:
    """Bring two values of one shape into layers of one shape, with their elements at the same places."""
    first, second = whole(build, node, first), whole(build, node, second)
    if not (first.places == second.places).all():
        for last in (False, True):
            if layers := _pictures(build, node, [first, second], last):
                one, other = (Value(layer, image_places(layer, first.places.shape, last)) for layer in layers)
                return one, other
        raise refusal(node, "its inputs keep their elements in different orders", "transpose neither, or both")
    if first.layer.shape == second.layer.shape:
        return first, second
    return Value(build.flat(first.layer), first.places), Value(build.flat(second.layer), second.places)


def concatenation(build: Build, node: Node) -> Value:
    """Lower Concat along the channels of pictures, or of vectors. Raises LoweringError along rows or columns."""
    values = [build.read(node, index) for index in range(len(node.inputs))]
    rank = values[0].places.ndim
    axis = axis_of(node, build.graph.opset, rank)
    for last, wanted in ((False, 1), (True, rank - 1)):
        if axis == wanted and rank > 2 and (layers := _pictures(build, node, values, last)):
            joined = reduce(lambda a, b: _joined(build, node, a, b), layers)
            return Value(joined, image_places(joined, build.shape(node, node.outputs[0]), last))
    if rank > 3:
        raise refusal(node, "it joins pictures along rows or columns", "join channels")
    return _vectors(build, node, values, axis)


def _pictures(build: Build, node: Node, values: Sequence[Value], last: bool) -> list[Layer] | None:
    """Return the layers of pictures, channels first or last; None where one is not such a picture."""
    seen: list[View] = []
    for value in values:
        places = image_of(value.places, last)
        found = None if places is None or len(value.layer.shape) == 1 else find(places, value.layer.shape)
        if found is None:
            return None
        seen.append(found)
    return [selected(build, node, value.layer, one) for value, one in zip(values, seen, strict=True)]


def _joined(build: Build, node: Node, first: Layer, second: Layer) -> Layer:
    shape = (*first.shape[:-1], first.shape[-1] + second.shape[-1])
    return build.add(Concatenation(node.name, (first.name, second.name), shape, node.name))


def _vectors(build: Build, node: Node, values: Sequence[Value], axis: int) -> Value:
    layers = [build.flat(value.layer) for value in values]
    starts = np.cumsum([0, *(prod(layer.shape) for layer in layers)])
    moved = [
        np.where(value.places < 0, -1, value.places + start) for value, start in zip(values, starts[:-1], strict=True)
    ]
    return Value(reduce(lambda a, b: _joined(build, node, a, b), layers), np.concatenate(moved, axis))
