"""Types that a model gives: quantisers of QONNX, and QuantizeLinear and DequantizeLinear, of values and of weights."""

from __future__ import annotations

from math import frexp

import numpy as np

from ....ir.graph import Array, Node
from ....ir.qonnx import BIPOLAR, QUANTISERS, Levels
from ..fixed import Fixed, holding
from ..network import Affine, Floats, Layer
from .build import Build, Value, refusal
from .selection import whole
from .stored import is_stored, numbers, quantised

RECALIBRATE = "--recalibrate leaves out what quantises values, and chooses types from samples"

_MOST_BITS = 18
"""The widest weights that scales of single channels are put into, the narrow port of a multiplier."""

_ROUNDINGS = {"FLOOR": (False, False), "HALF_EVEN": (True, True), "ROUND": (True, True)}


def typed_weight(build: Build, node: Node, axis: int) -> tuple[Floats, Fixed | None, Floats | None]:
    """Return a layer's weight, its type where the model gives one, and the scale (C_out,) still to be multiplied by.

    Scales that are powers of two go into the type; others, one for each index of ``axis``, stay apart. Weights on
    neither are floats, to be typed here.
    """
    weight, source = build.weight(node, 1), node.inputs[1].producer
    if source is None:
        return weight, None, None
    if (grid := holding(weight)).width <= _MOST_BITS:
        return weight, grid, None
    if source.qualified not in QUANTISERS:
        return weight, None, None
    codes, scale = quantised(source)
    outputs = codes.shape[axis]
    along = np.ones(codes.ndim, np.int64)
    along[axis] = outputs
    if scale.size == 1:
        return codes, holding(codes), np.full(outputs, float(scale.reshape(())))
    if np.broadcast_shapes(scale.shape, tuple(along)) != tuple(along):
        return weight, None, None
    return codes, holding(codes), np.broadcast_to(scale, tuple(along)).ravel()


def rescaled(build: Build, node: Node, layer: Layer, scale: Floats | None, bias: Floats) -> Layer:
    """Multiply a layer's channels by ``scale`` (C,) and add ``bias`` (C,); the layer itself without a scale."""
    if scale is None:
        return layer
    return build.add(Affine(f"{node.name}_scale", (layer.name,), layer.shape, node.name, scale, bias))


def quantise(build: Build, node: Node) -> Value:
    """Lower a quantiser of QONNX as the type of what it reads. Raises LoweringError where no type does the same."""
    if node.qualified == BIPOLAR:
        raise refusal(node, "it makes signs of values", RECALIBRATE)
    scale, zero, bits = (build.weight(node, index) for index in (1, 2, 3))
    levels = Levels.of(node.qualified, node.attributes, bits)
    if levels.bipolar or levels.rounding not in _ROUNDINGS:
        raise refusal(node, "no fixed-point type rounds like it", RECALIBRATE)
    rounds, even = _ROUNDINGS[levels.rounding]
    if rounds and np.any(zero % 2):
        raise refusal(node, f"its zero point {zero.ravel()[0]:g} is odd", RECALIBRATE)
    grid = _type(node, levels.low - zero, levels.high - zero, scale)
    return _cast(build, node, build.read(node), _rounding(grid, rounds, even))


def quantise_linear(build: Build, node: Node) -> Value:
    """Pass on what QuantizeLinear reads: the DequantizeLinear behind it gives the type."""
    return build.read(node)


def dequantise_linear(build: Build, node: Node) -> Value:
    """Lower the DequantizeLinear behind a QuantizeLinear as a type. Raises LoweringError for any other."""
    made, bounds = _made(build, node)
    scale, zero = build.weight(node, 1), _zero(node)
    if made is None or not _alike(made, node):
        raise refusal(node, "no QuantizeLinear of the same scale and zero point is before it", RECALIBRATE)
    low, high = bounds
    grid = _type(node, np.asarray(low - zero), np.asarray(high - zero), scale)
    return _cast(build, node, build.read(made), _rounding(grid, True, True))


def clips_codes(node: Node) -> bool:
    """Whether a Clip narrows the integers between a QuantizeLinear and its DequantizeLinear."""
    made = node.inputs[0].producer
    return made is not None and made.op == "QuantizeLinear"


def _made(build: Build, node: Node) -> tuple[Node | None, tuple[float, float]]:
    """Return the QuantizeLinear behind which ``node`` stands, and the least and the largest integer it lets through."""
    made = node.inputs[0].producer
    clip = made if made is not None and made.op == "Clip" and clips_codes(made) else None
    if clip is not None:
        made = clip.inputs[0].producer
    if made is None or made.op != "QuantizeLinear":
        return None, (0.0, 0.0)
    limits = np.iinfo(made.inputs[2].array.dtype if _shifted(made) else np.uint8)
    low, high = float(limits.min), float(limits.max)
    if clip is not None:
        ends = [build.stored(clip, index) for index in (1, 2)]
        low = low if ends[0] is None else max(low, float(ends[0]))
        high = high if ends[1] is None else min(high, float(ends[1]))
    return made, (low, high)


def _shifted(node: Node) -> bool:
    return len(node.inputs) > 2 and bool(node.inputs[2].name)


def _zero(node: Node) -> Array:
    return numbers(node.inputs[2]).astype(np.float64) if _shifted(node) else np.zeros(())


def _alike(one: Node, other: Node) -> bool:
    if not all(is_stored(node.inputs[1]) for node in (one, other)):
        return False
    scales = numbers(one.inputs[1]), numbers(other.inputs[1])
    return np.array_equal(*scales) and np.array_equal(_zero(one), _zero(other))


def _type(node: Node, low: Array, high: Array, scale: Floats) -> Fixed:
    """Return the type of the multiples of ``scale`` from ``low`` to ``high``; refuse what no type has."""
    if low.size > 1 or high.size > 1 or not np.all(scale == scale.ravel()[0]):
        raise refusal(node, "channels have types of their own", RECALIBRATE)
    mantissa, exponent = frexp(float(scale.ravel()[0]))
    if mantissa != 0.5:
        raise refusal(node, f"its scale {float(scale.ravel()[0]):.6g} is no power of two", RECALIBRATE)
    least, most = int(low.reshape(())), int(high.reshape(()))
    width = most.bit_length() + (least < 0)
    if least not in ((-most - 1, -most) if least < 0 else (0,)) or most & (most + 1):
        raise refusal(node, f"no type has the {most - least + 1} values from {least} to {most}", RECALIBRATE)
    integer = width + exponent - 1
    return Fixed(width, integer, least < 0, saturates=True, symmetric=least == -most and least < 0)


def _rounding(grid: Fixed, rounds: bool, even: bool) -> Fixed:
    return Fixed(grid.width, grid.integer, grid.signed, rounds, True, even, grid.symmetric)


def _cast(build: Build, node: Node, value: Value, grid: Fixed) -> Value:
    value = whole(build, node, value)
    layer = value.layer
    ones = np.ones(layer.shape[-1])
    added = build.add(
        Affine(node.name, (layer.name,), layer.shape, node.name, ones, np.zeros_like(ones), grid=grid)
    )  # fmt: skip
    return Value(added, value.places)
