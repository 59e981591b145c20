"""How a layer takes words: one by one, two that belong together, around a place, or a whole image."""

from collections.abc import Sequence
from dataclasses import dataclass

from ..fixed import Fixed
from ..network import Convolution, Flatten, Layer, Pooling
from .formats import Setting, StreamFormat, instance

_FLOW = {name: name for name in ("clk", "rst", "ce")}
_TAKEN = {name: name.replace("in", "in0") for name in ("in_data", "in_valid", "in_ready")}
_TAKEN |= {"out_data": "x", "out_valid": "x_valid"}


@dataclass(frozen=True)
class Head:
    """``lines`` give the wires ``x`` and ``x_valid``. x holds ``taps`` words of ``channels`` numbers of a type;
    ``levels`` registers lie before it.
    """

    lines: tuple[str, ...]
    channels: int
    kind: Fixed
    taps: int = 1
    levels: int = 0


def head(layer: Layer, inputs: Sequence[StreamFormat]) -> Head:
    """Write how a layer takes its inputs."""
    if len(inputs) == 2:
        return _join(inputs)
    if isinstance(layer, Flatten):
        return _gather(inputs[0])
    if isinstance(layer, Pooling) and whole_image(layer, inputs[0]):
        return _total(layer, inputs[0])
    if isinstance(layer, Convolution):
        return _window(inputs[0], (layer.kernel.shape[0], layer.kernel.shape[1]), layer.strides, layer.pads, 0)
    if isinstance(layer, Pooling):
        kind = inputs[0].kind
        least = 1 << (kind.width - 1) if kind.signed else 0
        return _window(inputs[0], layer.size, layer.strides, layer.pads, least)
    lines = (*_wires(inputs[0].bits), "assign in0_ready = ce, x_valid = in0_valid, x = in0_data;")
    return Head(lines, inputs[0].channels, inputs[0].kind)


def whole_image(layer: Pooling, form: StreamFormat) -> bool:
    """Whether one window takes in all of an image."""
    return layer.size == form.shape[:2] and not any(layer.pads)


def _wires(bits: int) -> tuple[str, ...]:
    return f"wire [{bits - 1}:0] x;", "wire x_valid;"


def _join(inputs: Sequence[StreamFormat]) -> Head:
    """Take two words at once; x is the first of them."""
    lines = (
        *_wires(inputs[0].bits),
        "assign in0_ready = ce & in1_valid, in1_ready = ce & in0_valid, x_valid = in0_valid & in1_valid, x = in0_data;",
    )
    return Head(lines, inputs[0].channels, inputs[0].kind)


def _gather(form: StreamFormat) -> Head:
    line = instance("gather", "head", {"W": form.bits, "N": form.words}, _FLOW | _TAKEN)
    return Head((*_wires(form.bits * form.words), line), form.channels * form.words, form.kind, 1, 1)


def _total(layer: Pooling, form: StreamFormat) -> Head:
    kind = sum_kind(layer, form)
    parameters: dict[str, Setting] = {
        "C": form.channels,
        "W": form.kind.width,
        "SIGNED": int(form.kind.signed),
        "N": form.words,
        "OW": kind.width,
        "MAX": int(layer.kind == "max"),
    }
    line = instance("total", "head", parameters, _FLOW | _TAKEN)
    return Head((*_wires(form.channels * kind.width), line), form.channels, kind, 1, 1)


def sum_kind(layer: Pooling, form: StreamFormat) -> Fixed:
    """Return the type that holds the largest, or every sum, of a window."""
    taps = layer.size[0] * layer.size[1] if layer.kind == "average" else 1
    more = 1 + (taps - 1).bit_length()
    return Fixed(form.kind.width + more, form.kind.integer + more)


def _window(
    form: StreamFormat, size: tuple[int, int], strides: tuple[int, int], pads: tuple[int, int, int, int], filler: int
) -> Head:
    taps = size[0] * size[1]
    parameters: dict[str, Setting] = {"W": form.bits, "H": form.shape[0], "V": form.shape[1]}
    parameters |= zip(("TOP", "LEFT", "BOTTOM", "RIGHT"), pads, strict=True)
    parameters |= zip(("KH", "KW", "SH", "SW"), (*size, *strides), strict=True)
    parameters["FILL"] = f"{{{form.channels}{{{form.kind.width}'d{filler}}}}}"
    line = instance("window", "head", parameters, _FLOW | _TAKEN)
    return Head((*_wires(form.bits * taps), line), form.channels, form.kind, taps, 1)
