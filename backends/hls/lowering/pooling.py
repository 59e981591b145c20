"""Pools: in windows, and over the whole map."""

from __future__ import annotations

from functools import partial
from math import prod
from typing import Literal

import numpy as np

from ....ir.arguments import reduced_axes
from ....ir.graph import Node
from ..network import Convolution, Pooling
from .build import Build, Value, channels_first, refusal
from .selection import image_of, picture, selected, view
from .windows import Window, window

Kind = Literal["max", "average"]
_KINDS: dict[str, Kind] = {
    "AveragePool": "average",
    "GlobalAveragePool": "average",
    "GlobalMaxPool": "max",
    "MaxPool": "max",
    "ReduceMax": "max",
    "ReduceMean": "average",
}


def pool(build: Build, node: Node) -> Value:
    """Lower MaxPool and AveragePool in one or two dimensions. Raises LoweringError for dilated windows."""
    opset = build.graph.opset
    source = picture(build, node, build.read(node))
    shape = build.shape(node, node.outputs[0])
    rows, columns = (1, *shape[2:])[-2:]
    size = tuple(node.attribute("kernel_shape", opset))
    slides = window(node, opset, size, (source.shape[0], source.shape[1]), (rows, columns))
    if slides.dilations != (1, 1):
        raise refusal(node, f"its windows are dilated by {slides.dilations}", "use dense windows")
    whole = (rows, columns, source.shape[2])
    places = channels_first(whole).reshape(shape)
    if node.attribute("count_include_pad", opset) and any(slides.pads):
        return Value(build.add(_mean_with_zeros(node, source.name, whole, slides)), places)
    layer = Pooling(
        node.name, (source.name,), whole, node.name, _KINDS[node.op], slides.size, slides.strides, slides.pads
    )
    return Value(build.add(layer), places)


def _mean_with_zeros(node: Node, source: str, shape: tuple[int, int, int], slides: Window) -> Convolution:
    """Average with padded zeros counted: a depthwise convolution by one number."""
    if node.attribute("ceil_mode", 11):
        raise refusal(node, "it counts padded zeros and rounds its size up", "set ceil_mode or count_include_pad to 0")
    kernel = np.full((*slides.size, shape[2], 1), 1 / prod(slides.size))
    depthwise = shape[2] > 1
    zeros = np.zeros(shape[2])
    return Convolution(
        node.name, (source,), shape, node.name, kernel, zeros, slides.strides, slides.pads, depthwise
    )  # fmt: skip


def global_pool(build: Build, node: Node) -> Value:
    """Lower GlobalAveragePool and GlobalMaxPool."""
    value = build.read(node)
    return _over_all(build, node, value, last=False)


def reduction(build: Build, node: Node) -> Value:
    """Lower ReduceMean and ReduceMax over all pixels. Raises LoweringError over other axes."""
    value = build.read(node)
    rank = value.places.ndim
    axes = sorted(reduced_axes(node, build.graph.opset, rank, partial(build.number, node)) or [])
    pixels = list(range(2, rank)), list(range(1, rank - 1))
    for last in (False, True):
        if rank > 2 and axes == pixels[last]:
            return _over_all(build, node, value, last)
    raise refusal(node, f"it reduces axes {axes} of {rank}", "reduce all rows and columns, and nothing else")


def _over_all(build: Build, node: Node, value: Value, last: bool) -> Value:
    places = image_of(value.places, last)
    if places is None:
        raise refusal(node, f"it works on a tensor of shape {value.places.shape}", "use pictures of one sample")
    source = selected(build, node, value.layer, view(node, places, value.layer))
    size = (source.shape[0], source.shape[1])
    shape = (1, 1, source.shape[2])
    layer = build.add(Pooling(node.name, (source.name,), shape, node.name, _KINDS[node.op], size, size))
    return Value(layer, np.arange(source.shape[2]).reshape(build.shape(node, node.outputs[0])))
