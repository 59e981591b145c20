"""Gemm and MatMul with a stored weight: rows go where the layer keeps the elements, so a flatten costs nothing."""

from __future__ import annotations

from math import prod

import numpy as np

from ....ir.graph import Node
from ..fixed import Fixed
from ..network import Dense, Floats
from .build import Build, Value, refusal
from .convolution import convolved
from .quantised import rescaled, typed_weight
from .windows import Window

_POINT = Window((1, 1), (1, 1), (1, 1), (0, 0, 0, 0))


def matmul(build: Build, node: Node) -> Value:
    """Lower MatMul with a stored matrix on the right. Raises LoweringError for another."""
    value, (weight, grid, scale) = build.read(node), typed_weight(build, node, -1)
    if weight.ndim != 2:
        raise refusal(node, f"its right side has shape {weight.shape}", "multiply by a matrix")
    return _product(build, node, value, weight, np.zeros(weight.shape[1]), grid, scale)


def gemm(build: Build, node: Node) -> Value:
    """Lower Gemm with a stored matrix and bias. Raises LoweringError when a factor is computed or transposed."""
    opset = build.graph.opset
    transposed, alpha = bool(node.attribute("transB", opset)), float(node.attribute("alpha", opset, 1.0))
    value, (weight, grid, scale) = build.read(node), typed_weight(build, node, 0 if transposed else 1)
    if node.attribute("transA", opset):
        raise refusal(node, "it transposes its input", "transpose the weight instead")
    if grid is not None and alpha != 1:
        raise refusal(node, f"it has quantised weights and alpha {alpha:g}", "put alpha into the scale of the weights")
    weight = alpha * (weight.T if transposed else weight)
    bias = np.zeros(weight.shape[1])
    if build.stored(node, 2) is not None:
        bias = bias + node.attribute("beta", opset, 1.0) * build.weight(node, 2).reshape(-1)
    return _product(build, node, value, weight, bias, grid, scale)


def _product(
    build: Build, node: Node, value: Value, weight: Floats, bias: Floats, grid: Fixed | None, scale: Floats | None
) -> Value:
    """Multiply the last axis of a value by ``weight`` (N, M) of a type, with a scale: densely, or at each pixel."""
    inner = bias if scale is None else np.zeros_like(bias)
    found = _unscaled(build, node, value, weight, inner, grid)
    return Value(rescaled(build, node, found.layer, scale, bias), found.places)


def _unscaled(build: Build, node: Node, value: Value, weight: Floats, bias: Floats, grid: Fixed | None) -> Value:
    shape = build.shape(node, node.outputs[0])
    if value.places.size > weight.shape[0]:
        return _at_pixels(build, node, value, weight, bias, grid)
    source, places = build.flat(value.layer), value.places.ravel()
    rows = np.zeros((prod(source.shape), weight.shape[1]))
    np.add.at(rows, places[places >= 0], weight[places >= 0])
    layer = build.add(Dense(node.name, (source.name,), bias.shape, node.name, rows, bias, weight_grid=grid))
    return Value(layer, np.arange(bias.size).reshape(shape))


def _at_pixels(build: Build, node: Node, value: Value, weight: Floats, bias: Floats, grid: Fixed | None) -> Value:
    """Multiply every pixel of a picture, as a convolution of 1 x 1."""
    shape = value.layer.shape
    if len(shape) != 3 or shape[0] * shape[1] * weight.shape[0] != value.places.size:
        raise refusal(node, "it multiplies several rows that are not the pixels of a picture", "use a Conv of 1 x 1")
    places = value.places.reshape(*shape[:2], weight.shape[0]).transpose(2, 0, 1)
    layer = convolved(build, node, value.layer, places, weight[None, None], bias, _POINT, grid=grid)
    pixels = np.arange(prod(layer.shape))
    return Value(layer, pixels.reshape(build.shape(node, node.outputs[0])))
