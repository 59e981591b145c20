"""Operators that move data: the slope moves back."""

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Literal

import numpy as np
import onnx.helper

from ... import arguments
from ...shapes import Shape
from ..step import Step, positions, repeated
from .axes import back_to


def reshaped(step: Step) -> Mapping[int, str]:
    """Of operators that keep all entries in order: the slope in the shape of the input."""
    return {0: step.sheet.reshape(step.slope, step.shape())}


def transpose(step: Step) -> Mapping[int, str]:
    """Exchange the axes back."""
    order = arguments.permutation(step.node, step.opset, len(step.shape()))
    return {0: step.sheet.transpose(step.slope, np.argsort(order).tolist())}


def concat(step: Step) -> Mapping[int, str]:
    """Cut the slope in pieces."""
    axis = arguments.axis(step.node, step.opset, len(step.shape_out()))
    ends = list(accumulate(step.shape(index)[axis] for index in range(len(step.node.inputs))))
    spans = {index: (ends[index] - step.shape(index)[axis], ends[index], 1) for index in sorted(step.wanted)}
    return {index: step.sheet.slice(step.slope, {axis: span}) for index, span in spans.items()}


def split(step: Step) -> Mapping[int, str]:
    """Join the slopes, zeros where nothing depends on a piece."""
    axis, sheet = arguments.axis(step.node, step.opset, len(step.shape())), step.sheet
    parts = [
        repeated(sheet, sheet.constant(0.0), step.shape_out(index)) if slope is None else slope
        for index, slope in enumerate(step.slopes)
    ]
    return {0: sheet.add("Concat", *parts, axis=axis)}


def slice_(step: Step) -> Mapping[int, str]:
    """Put the slope back where it was cut out."""
    shape = step.shape()
    spans = arguments.spans(step.node, step.opset, len(shape))
    if spans is None:
        raise step.refuse("where it cuts is computed")
    ranges = {axis: range(shape[axis])[span] for axis, span in spans.items()}
    plain = {axis: r for axis, r in ranges.items() if r.step == 1}
    before = [plain[axis].start if axis in plain else 0 for axis in range(len(shape))]
    after = [shape[axis] - plain[axis].stop if axis in plain else 0 for axis in range(len(shape))]
    now = [*step.shape_out()]
    found = step.sheet.pad(step.slope, before, after)
    for axis in plain:
        now[axis] = shape[axis]
    for axis in ranges.keys() - plain.keys():
        found = back_to(step.sheet, found, tuple(now), axis, ranges[axis], shape[axis])
        now[axis] = shape[axis]
    return {0: found}


def pad(step: Step) -> Mapping[int, str]:
    """Cut off what was added; what repeats or mirrors entries adds their slopes to them."""
    shape = step.shape()
    found = arguments.padding(step.node, step.opset, len(shape))
    if found is None:
        raise step.refuse("how much it adds is computed")
    if found.mode == "constant":
        before, after = zip(*((-b, -a) for b, a in found.widths), strict=True)
        return {0: step.sheet.pad(step.slope, before, after)}
    slope, now = step.slope, [*step.shape_out()]
    for axis in found.axes:
        chosen = _padded(shape[axis], found.widths[axis], _MODES[found.mode])
        slope = back_to(step.sheet, slope, tuple(now), axis, chosen, shape[axis])
        now[axis] = shape[axis]
    return {0: slope}


_Mode = Literal["reflect", "edge", "wrap"]
_MODES: dict[str, _Mode] = {"reflect": "reflect", "edge": "edge", "wrap": "wrap"}


def _padded(size: int, width: tuple[int, int], mode: _Mode) -> list[int]:
    """Return which entry lies at every place of a padded axis: negative amounts cut before the rest is added."""
    before, after = width
    left = np.arange(size)[max(0, -before) : size - max(0, -after)]
    return [int(place) for place in np.pad(left, (max(0, before), max(0, after)), mode=mode)]


def gather(step: Step) -> Mapping[int, str]:
    """Put slopes back to the entries that were taken."""
    shape, sheet = step.shape(), step.sheet
    axis, index = arguments.axis(step.node, step.opset, len(shape)), step.stored(1)
    taken = step.shape(1)
    flat = (*shape[:axis], positions(taken), *shape[axis + 1 :])
    slope = sheet.reshape(step.slope, flat)
    if index is not None:
        return {0: back_to(sheet, slope, flat, axis, index.ravel().tolist(), shape[axis])}
    places = sheet.reshape(step.x(1), [-1 if place == axis else 1 for place in range(len(flat))])
    zeros = repeated(sheet, sheet.constant(0.0), shape)
    found = sheet.add("ScatterElements", zeros, repeated(sheet, places, flat), slope, axis=axis, reduction="add")
    return {0: found}


def expand(step: Step) -> Mapping[int, str]:
    """Sum over what was repeated."""
    return {0: step.fitted(step.slope, 0)}


def tile(step: Step) -> Mapping[int, str]:
    """Sum over the copies."""
    shape, out = step.shape(), step.shape_out()
    copies = [after // before for before, after in zip(shape, out, strict=True)]
    apart = [size for pair in zip(copies, shape, strict=True) for size in pair]
    return {0: step.sheet.sum(step.sheet.reshape(step.slope, apart), range(0, len(apart), 2))}


def depth_to_space(step: Step) -> Mapping[int, str]:
    """Move blocks of positions back to channels."""
    batch, channels, *sizes = step.shape()
    side = int(step.attribute("blocksize"))
    inner = channels // side**2
    blocks = (batch, inner, sizes[0], side, sizes[1], side)
    order = (0, 3, 5, 1, 2, 4) if step.attribute("mode", "DCR") == "DCR" else (0, 1, 3, 5, 2, 4)
    return {0: _blocks(step, blocks, order)}


def space_to_depth(step: Step) -> Mapping[int, str]:
    """Move channels back to blocks of positions."""
    batch, channels, *sizes = step.shape()
    side = int(step.attribute("blocksize"))
    return {0: _blocks(step, (batch, side, side, channels, sizes[0] // side, sizes[1] // side), (0, 3, 4, 1, 5, 2))}


def _blocks(step: Step, apart: Shape, order: Sequence[int]) -> str:
    turned = step.sheet.transpose(step.sheet.reshape(step.slope, apart), order)
    return step.sheet.reshape(turned, step.shape())


def cast(step: Step) -> Mapping[int, str]:
    """Turn the slope into the element type of the input."""
    kind = step.node.inputs[0].dtype
    if kind is None:
        raise step.refuse("the element type of its input is not known")
    return {0: step.sheet.add("Cast", step.slope, to=onnx.helper.np_dtype_to_tensor_dtype(np.dtype(kind)))}
