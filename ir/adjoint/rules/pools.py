"""Pools."""

from collections.abc import Mapping

import numpy as np

from ...geometry import Geometry, geometry
from ...graph import Array
from ..step import Step, positions, repeated
from .axes import back_along


def max_pool(step: Step) -> Mapping[int, str]:
    """Add every slope to the entry that was the largest of its window; the first one, where several are."""
    shape, sheet = step.shape(), step.sheet
    form = {**step.node.attributes, "storage_order": 0}
    _, places = sheet.several("MaxPool", [step.x()], 2, **form)
    size = positions(shape)
    zeros = repeated(sheet, sheet.constant(0.0), (size,))
    flat = [sheet.reshape(part, [-1]) for part in (places, step.slope)]
    found = sheet.add("ScatterElements", zeros, *flat, axis=0, reduction="add")
    return {0: sheet.reshape(found, shape)}


def average_pool(step: Step) -> Mapping[int, str]:
    """Give every entry of a window its share of the slope."""
    form = geometry(step.node, step.opset, step.attribute("kernel_shape"))
    sizes, outputs = step.shape()[2:], step.shape_out()[2:]
    begin, end = form.pads(sizes)
    include = bool(step.attribute("count_include_pad", 0))
    maps = {
        2 + place: _shares(form, place, (sizes[place], outputs[place]), (begin[place], end[place]), include)
        for place in range(len(sizes))
    }
    return {0: back_along(step.sheet, step.slope, step.shape_out(), maps)}


def _shares(form: Geometry, place: int, sizes: tuple[int, int], pads: tuple[int, int], include: bool) -> Array:
    """Return (outputs, inputs): the share of an entry in each window along one axis."""
    starts = np.arange(sizes[1]) * form.strides[place] - pads[0]
    taps = starts[:, None] + np.arange(form.kernel[place]) * form.dilations[place]
    inside = (taps >= 0) & (taps < sizes[0])
    counted = (taps >= -pads[0]) & (taps < sizes[0] + pads[1]) if include else inside
    shares = (taps[..., None] == np.arange(sizes[0])).sum(1)
    return np.asarray(shares / np.maximum(counted.sum(1), 1)[:, None])


def global_average_pool(step: Step) -> Mapping[int, str]:
    """Give every position its share of the slope."""
    shape = step.shape()
    share = step.sheet.add("Mul", step.slope, step.sheet.constant(1 / positions(shape[2:])))
    return {0: repeated(step.sheet, share, shape)}


def global_max_pool(step: Step) -> Mapping[int, str]:
    """Give the slope to the largest position, in equal parts where several are."""
    sheet = step.sheet
    among = sheet.truth(sheet.add("Equal", step.x(), step.y()))
    count = sheet.sum(among, range(2, len(step.shape())), keep=True)
    return {0: sheet.add("Mul", among, sheet.add("Div", step.slope, count))}
