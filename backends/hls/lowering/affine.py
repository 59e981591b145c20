"""Scales and shifts by stored numbers: BatchNormalization, and Mul, Add, Sub and Div with a constant."""

from __future__ import annotations

from math import prod

import numpy as np

from ....ir.graph import Array, Node
from ..network import Affine, Floats
from .build import Build, Value, refusal
from .selection import whole
from .stored import is_stored


def batch_norm(build: Build, node: Node) -> Value:
    """Lower BatchNormalization by its running statistics."""
    value = build.read(node)
    scale, shift, mean, variance = (build.weight(node, index) for index in range(1, 5))
    scale = scale / np.sqrt(variance + node.attribute("epsilon", build.graph.opset, 1e-5))
    form = (-1, *[1] * (value.places.ndim - 2))
    return scaled(build, node, value, scale.reshape(form), (shift - mean * scale).reshape(form))


def by_constant(build: Build, node: Node) -> Value:
    """Lower Mul, Add, Sub or Div of a value and a constant. Raises LoweringError for division by the value."""
    right = is_stored(node.inputs[1])
    number = build.weight(node, int(right))
    value = build.read(node, int(not right))
    zero, one = np.zeros(()), np.ones(())
    if node.op == "Div" and not right:
        raise refusal(node, "it divides by a computed value", "multiply instead")
    if node.op in ("Mul", "Div"):
        return scaled(build, node, value, number if node.op == "Mul" else 1 / number, zero)
    if node.op == "Sub":
        return scaled(build, node, value, one if right else -one, -number if right else number)
    return scaled(build, node, value, one, number)


def scaled(build: Build, node: Node, value: Value, scale: Array, shift: Array) -> Value:
    """Multiply and shift a value by arrays that broadcast to it.

    Raises LoweringError where they make it larger, or differ between the pixels of a picture.
    """
    shape = value.places.shape
    if np.broadcast_shapes(shape, scale.shape, shift.shape) != shape:
        raise refusal(node, "its constant is larger than its input", "expand the input by a layer")
    if (scale == 1).all() and (shift == 0).all():
        return value
    value = whole(build, node, value)
    layer = value.layer
    numbers = [_in_layer(value, np.broadcast_to(array, shape)) for array in (scale, shift)]
    if len(layer.shape) == 3 and not all((array == array[:1]).all() for array in numbers):
        if value.places.ndim > 2:
            raise refusal(node, "its constant differs between pixels", "use one number for each channel")
        layer = build.flat(layer)
        numbers = [array.reshape(1, -1) for array in numbers]
    added = build.add(Affine(node.name, (layer.name,), layer.shape, node.name, numbers[0][0], numbers[1][0]))
    return Value(added, value.places)


def _in_layer(value: Value, array: Array) -> Floats:
    """Bring numbers from a value's form to the layer's, (pixels, C)."""
    shape = value.layer.shape
    flat = np.empty(prod(shape))
    flat[value.places.ravel()] = array.ravel()
    return flat.reshape(-1, shape[-1])
