"""Resize by whole factors, and transposed convolutions, as convolutions of a map with zeros between its pixels."""

from __future__ import annotations

import numpy as np

from ....ir.geometry import geometry
from ....ir.graph import Node
from ..network import Floats, Layer, Shape, Stuffing, Upsampling
from .build import Build, Value, channels_first, refusal
from .convolution import blocks, convolved, spread
from .quantised import rescaled, typed_weight
from .selection import as_image, image_of, image_places, picture, selected, view
from .views import Ints
from .windows import Window

_MODES = ("half_pixel", "pytorch_half_pixel", "asymmetric")


def resize(build: Build, node: Node) -> Value:
    """Lower Resize and Upsample that repeat pixels. Raises LoweringError for all others."""
    value, shape = build.read(node), build.shape(node, node.outputs[0])
    mode = node.attribute("mode", build.graph.opset, "nearest")
    if mode != "nearest":
        raise refusal(node, f"its mode is '{mode}', and hls4ml repeats pixels only", "use mode nearest")
    for last in (False, True):
        places, wanted = image_of(value.places, last), image_of(np.empty(shape, np.int64), last)
        if places is not None and wanted is not None and len(places) == len(wanted):
            source = selected(build, node, value.layer, view(node, places, value.layer))
            layer = _repeated(build, node, source, (wanted.shape[1], wanted.shape[2]))
            return Value(layer, image_places(layer, shape, last))
    raise refusal(node, f"it makes {shape} of {value.places.shape}", "resize rows and columns only")


def _repeated(build: Build, node: Node, source: Layer, size: tuple[int, int]) -> Layer:
    if size == source.shape[:2]:
        return source
    if any(new % old for new, old in zip(size, source.shape[:2], strict=True)):
        why = f"it makes {size} of {source.shape[:2]} pixels, and hls4ml repeats each as often as the others"
        raise refusal(node, why, "resize by whole factors")
    factors = size[0] // source.shape[0], size[1] // source.shape[1]
    if not all(_repeats(node, build.graph.opset, factor) for factor in factors):
        raise refusal(node, "it does not repeat pixels evenly", "use coordinate_transformation_mode asymmetric, floor")
    return build.add(Upsampling(node.name, (source.name,), (*size, source.shape[2]), node.name, factors))


def _repeats(node: Node, opset: int, factor: int) -> bool:
    """Whether each of the first ``factor`` pixels is nearest to the first one before it was resized."""
    if node.op == "Upsample":
        return True
    mode = node.attribute("coordinate_transformation_mode", opset, "half_pixel")
    nearest = node.attribute("nearest_mode", opset, "round_prefer_floor")
    ends = np.array([0, factor - 1])
    places = ends / factor if mode == "asymmetric" else (ends + 0.5) / factor - 0.5
    rounded = {
        "floor": np.floor(places),
        "round_prefer_ceil": np.floor(places + 0.5),
        "round_prefer_floor": np.ceil(places - 0.5),
    }
    return mode in _MODES and nearest in rounded and not rounded[nearest].any()


def transposed(build: Build, node: Node) -> Value:
    """Lower ConvTranspose in one or two dimensions. Raises LoweringError where its kernel spares pixels."""
    value = build.read(node)
    weight, grid, scale = typed_weight(build, node, 1)
    group = int(node.attribute("group", build.graph.opset, 1))
    if weight.ndim not in (3, 4) or as_image(node, value.places) is None:
        raise refusal(node, f"its weight has shape {weight.shape}", "use at most two spatial dimensions")
    count = weight.shape[1] * group
    bias = np.zeros(count) if build.stored(node, 2) is None else build.weight(node, 2)
    shape = build.shape(node, node.outputs[0])
    source = picture(build, node, value)
    strides, slides = _window(build, node, weight.shape[2:], source.shape, (1, *shape[2:])[-2:])
    if strides != (1, 1):
        stuffed = (source.shape[0] * strides[0], source.shape[1] * strides[1], source.shape[2])
        source = build.add(Stuffing(f"{node.name}_stuffed", (source.name,), stuffed, node.name, strides))
    depthwise = group == len(weight) == count and group > 1
    kernel = spread(_turned(weight.reshape(*weight.shape[:2], *slides.size), group), slides)
    kernel = kernel.transpose(0, 1, 3, 2) if depthwise else blocks(kernel, group)
    places: Ints = channels_first(source.shape)[0]
    inner = bias if scale is None else np.zeros_like(bias)
    layer = convolved(build, node, source, places, kernel, inner, slides, depthwise, grid)
    return Value(rescaled(build, node, layer, scale, bias), channels_first(layer.shape).reshape(shape))


def _turned(weight: Floats, group: int) -> Floats:
    """Bring a weight (C, C_out/group, kh, kw) to that of a convolution (C_out, C/group, kh, kw), taps backwards."""
    channels, results, *size = weight.shape
    parts = weight.reshape(group, channels // group, results, *size).swapaxes(1, 2)
    return np.asarray(parts.reshape(group * results, channels // group, *size)[:, :, ::-1, ::-1])


def _window(
    build: Build, node: Node, size: Shape, source: Shape, result: tuple[int, ...]
) -> tuple[tuple[int, int], Window]:
    """Return the strides, and the window that slides over the map with zeros between."""
    walk = geometry(node, build.graph.opset, size)
    if walk.auto_pad:
        raise refusal(node, f"its auto_pad is {walk.auto_pad}", "give it pads")
    fill = 2 - len(size)
    begin, strides, dilations = (*[0] * fill, *walk.begin), (*[1] * fill, *walk.strides), (*[1] * fill, *walk.dilations)
    bare = Window(((1, *size)[-2], size[-1]), (1, 1), (dilations[0], dilations[1]), (0, 0, 0, 0))
    before = [reach - 1 - pad for reach, pad in zip(bare.reach, begin, strict=True)]
    behind = [
        wanted - 1 + reach - old * step - first
        for wanted, reach, old, step, first in zip(result, bare.reach, source[:2], strides, before, strict=True)
    ]
    if min(*before, *behind) < 0:
        raise refusal(node, "its kernel is shorter than its stride or pads", "that is not lowered here")
    pads = (before[0], before[1], behind[0], behind[1])
    return (strides[0], strides[1]), Window(bare.size, bare.strides, bare.dilations, pads)
