"""What a layer computes from ``x``: lines that give the wire ``y``, before it is brought to the type of the result."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ....ir.errors import LoweringError
from ..fixed import Fixed
from ..network import Activation, Addition, Concatenation, Flatten, Layer, Pooling
from ..precision import Types
from .formats import Setting, StreamFormat, cast, instance
from .heads import Head, sum_kind, whole_image
from .pipelines import Pipeline

_FINER = 24
"""Bits by which the ends of a clip may be finer than what is clipped."""


@dataclass(frozen=True)
class Body:
    """``lines`` give the wire ``y`` of ``channels`` numbers of a type, ``levels`` registers behind x."""

    lines: tuple[str, ...]
    channels: int
    kind: Fixed
    levels: int = 0


def weighted(name: str, piped: Pipeline, channels: int, operand: Fixed, weight: Fixed) -> Body:
    """Multiply with constant weights."""
    ports = {"clk": "clk", "ce": "ce", "x": "x", "y": "y"}
    fraction = piped.sums.fraction + operand.fraction + weight.fraction
    kind = Fixed(piped.sums.width, piped.sums.width - fraction)
    lines = (_wire("y", channels, kind), instance(f"kernel_{name}", "body", {}, ports))
    return Body(lines, channels, kind, piped.levels)


def body(layer: Layer, taken: Head, inputs: Sequence[StreamFormat], types: Types) -> Body:
    """Write what a layer without weights computes.

    Raises LoweringError, naming the layer, where there is no such hardware here.
    """
    if isinstance(layer, Flatten):
        return Body((f"wire [{taken.channels * taken.kind.width - 1}:0] y = x;",), taken.channels, taken.kind)
    if isinstance(layer, Addition):
        return _added(inputs)
    if isinstance(layer, Concatenation):
        return _concatenated(inputs, types.result)
    if isinstance(layer, Pooling):
        return _pooled(layer, taken, inputs[0], types)
    if isinstance(layer, Activation) and layer.kind in ("relu", "clip"):
        return _clipped(layer, taken)
    if isinstance(layer, Activation) and layer.kind == "leaky_relu" and types.weight is not None:
        return _leaked(layer, taken, types.weight)
    raise _refusal(layer, "it has no hardware here")


def _added(inputs: Sequence[StreamFormat]) -> Body:
    one, other = (form.kind for form in inputs)
    integer = max(kind.integer + (not kind.signed) for kind in (one, other))
    common = Fixed(integer + max(one.fraction, other.fraction), integer)
    channels, kind = inputs[0].channels, Fixed(common.width + 1, common.integer + 1)
    lines = (
        _wire("a", channels, common),
        _wire("b", channels, common),
        _wire("y", channels, kind),
        cast(channels, one, common, "in0_data", "a"),
        cast(channels, other, common, "in1_data", "b"),
        instance("adds", "body", {"N": channels, "W": common.width}, {"a": "a", "b": "b", "out": "y"}),
    )
    return Body(lines, channels, kind)


def _concatenated(inputs: Sequence[StreamFormat], result: Fixed) -> Body:
    first, second = inputs
    lines = (
        _wire("a", first.channels, result),
        _wire("b", second.channels, result),
        cast(first.channels, first.kind, result, "in0_data", "a"),
        cast(second.channels, second.kind, result, "in1_data", "b"),
        f"wire [{(first.channels + second.channels) * result.width - 1}:0] y = {{b, a}};",
    )
    return Body(lines, first.channels + second.channels, result)


def _clipped(layer: Activation, taken: Head) -> Body:
    """Hold numbers between two ends, on a grid that holds the ends too."""
    low, high = layer.parameters if layer.kind == "clip" else (0.0, np.inf)
    low, high = max(low, taken.kind.low), min(high, taken.kind.high)
    if low > high:
        raise _refusal(layer, f"its ends lie outside {taken.kind}")
    first = taken.kind.fraction
    fraction = next((f for f in range(first, first + _FINER) if _whole(low, f) and _whole(high, f)), None)
    if fraction is None:
        raise _refusal(layer, f"its ends {low:g} and {high:g} need {_FINER} bits more than {taken.kind} has")
    kind = Fixed(taken.kind.integer + fraction, taken.kind.integer, taken.kind.signed)
    ends = {key: round(end / kind.step) % 2 ** (kind.width + 1) for key, end in (("LOW", low), ("HIGH", high))}
    settings: dict[str, Setting] = {"N": taken.channels, "W": kind.width, "S": int(kind.signed)}
    settings |= {key: f"{kind.width + 1}'sd{value}" for key, value in ends.items()}
    lines = (
        _wire("a", taken.channels, kind),
        _wire("y", taken.channels, kind),
        cast(taken.channels, taken.kind, kind, "x", "a"),
        instance("clips", "body", settings, {"in": "a", "out": "y"}),
    )
    return Body(lines, taken.channels, kind)


def _leaked(layer: Activation, taken: Head, grid: Fixed) -> Body:
    """Multiply numbers below 0 by the slope, in steps of its type."""
    factor, up = round(layer.parameters[0] / grid.step), grid.fraction
    if up < 0 or factor != layer.parameters[0] / grid.step:
        raise _refusal(layer, f"its slope {layer.parameters[0]:g} is no fraction of {grid}")
    bits = factor.bit_length() + 1
    kind = Fixed(taken.kind.width + bits + up, taken.kind.integer + bits)  # up bits more stand behind the point
    settings: dict[str, Setting] = {"N": taken.channels, "W": taken.kind.width, "S": int(taken.kind.signed)}
    settings |= {"MW": bits, "UP": up, "M": f"{bits}'sd{factor % 2**bits}"}
    lines = (_wire("y", taken.channels, kind), instance("leaks", "body", settings, {"in": "x", "out": "y"}))
    return Body(lines, taken.channels, kind)


def _whole(value: float, fraction: int) -> bool:
    return float(value * 2.0**fraction).is_integer()


def _pooled(layer: Pooling, taken: Head, form: StreamFormat, types: Types) -> Body:
    kind, channels = sum_kind(layer, form), form.channels
    if whole_image(layer, form):
        lines: tuple[str, ...] = (f"wire [{channels * kind.width - 1}:0] s = x;",)
    else:
        settings: dict[str, Setting] = {"N": channels, "K": taken.taps, "W": form.kind.width}
        settings |= {"S": int(form.kind.signed), "OW": kind.width, "MAX": int(layer.kind == "max")}
        lines = (_wire("s", channels, kind), instance("pools", "pools", settings, {"in": "x", "out": "s"}))
    if layer.kind == "max":
        return Body((*lines, f"wire [{channels * kind.width - 1}:0] y = s;"), channels, kind)
    return _divided(layer, lines, form, types.accumulator)


def _divided(layer: Pooling, lines: tuple[str, ...], form: StreamFormat, accumulator: Fixed | None) -> Body:
    """Divide sums by the window's places, towards zero, as the accumulator's steps are divided."""
    kind, channels = sum_kind(layer, form), form.channels
    if any(layer.pads):
        raise _refusal(layer, "means over padded windows divide by differing numbers")
    if accumulator is None or accumulator.fraction < kind.fraction:
        raise _refusal(layer, f"its accumulator {accumulator} does not hold the sums")
    fine = Fixed(kind.integer + accumulator.fraction, kind.integer)
    count = layer.size[0] * layer.size[1]
    drop = (count - 1).bit_length() + (0 if count & (count - 1) == 0 else fine.width)
    factor = -(-(2**drop) // count)
    bits = factor.bit_length()
    settings: dict[str, Setting] = {
        "N": channels,
        "W": fine.width,
        "S": int(form.kind.signed),
        "MW": bits,
        "DOWN": drop,
        "M": f"{bits}'d{factor}",
    }
    more = (
        _wire("t", channels, fine),
        _wire("y", channels, fine),
        cast(channels, kind, fine, "s", "t"),
        instance("divides", "divides", settings, {"in": "t", "out": "y"}),
    )
    return Body((*lines, *more), channels, fine)


def _wire(name: str, channels: int, kind: Fixed) -> str:
    return f"wire [{channels * kind.width - 1}:0] {name};"


def _refusal(layer: Layer, why: str) -> LoweringError:
    kind = layer.kind if isinstance(layer, Activation | Pooling) else type(layer).__name__
    return LoweringError("no hardware can be made", node_name=layer.source, op_type=kind, why=why)
