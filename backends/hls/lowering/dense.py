"""Gemm and MatMul with a stored weight: rows go where the layer keeps the elements, so a flatten costs nothing."""

from __future__ import annotations

from math import prod

import numpy as np

from ....ir.graph import Node
from ..network import Dense, Floats
from .build import Build, Value, refusal
from .convolution import convolved
from .windows import Window

_POINT = Window((1, 1), (1, 1), (1, 1), (0, 0, 0, 0))


def matmul(build: Build, node: Node) -> Value:
    """Lower MatMul with a stored matrix on the right. Raises LoweringError for another."""
    value, weight = build.read(node), build.weight(node, 1)
    if weight.ndim != 2:
        raise refusal(node, f"its right side has shape {weight.shape}", "multiply by a matrix")
    return _product(build, node, value, weight, np.zeros(weight.shape[1]))


def gemm(build: Build, node: Node) -> Value:
    """Lower Gemm with a stored matrix and bias. Raises LoweringError when a factor is computed or transposed."""
    opset = build.graph.opset
    value, weight = build.read(node), build.weight(node, 1)
    if node.attribute("transA", opset):
        raise refusal(node, "it transposes its input", "transpose the weight instead")
    weight = node.attribute("alpha", opset, 1.0) * (weight.T if node.attribute("transB", opset) else weight)
    bias = np.zeros(weight.shape[1])
    if build.stored(node, 2) is not None:
        bias = bias + node.attribute("beta", opset, 1.0) * build.weight(node, 2).reshape(-1)
    return _product(build, node, value, weight, bias)


def _product(build: Build, node: Node, value: Value, weight: Floats, bias: Floats) -> Value:
    """Multiply the last axis of a value by ``weight`` (N, M): densely, or at each pixel."""
    shape = build.shape(node, node.outputs[0])
    if value.places.size > weight.shape[0]:
        return _at_pixels(build, node, value, weight, bias)
    source, places = build.flat(value.layer), value.places.ravel()
    rows = np.zeros((prod(source.shape), weight.shape[1]))
    np.add.at(rows, places[places >= 0], weight[places >= 0])
    layer = build.add(Dense(node.name, (source.name,), bias.shape, node.name, rows, bias))
    return Value(layer, np.arange(bias.size).reshape(shape))


def _at_pixels(build: Build, node: Node, value: Value, weight: Floats, bias: Floats) -> Value:
    """Multiply every pixel of a picture, as a convolution of 1 x 1."""
    shape = value.layer.shape
    if len(shape) != 3 or shape[0] * shape[1] * weight.shape[0] != value.places.size:
        raise refusal(node, "it multiplies several rows that are not the pixels of a picture", "use a Conv of 1 x 1")
    places = value.places.reshape(*shape[:2], weight.shape[0]).transpose(2, 0, 1)
    layer = convolved(build, node, value.layer, places, weight[None, None], bias, _POINT)
    pixels = np.arange(prod(layer.shape))
    return Value(layer, pixels.reshape(build.shape(node, node.outputs[0])))
