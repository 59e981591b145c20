"""Conv: groups and dilations become zeros in the kernel; padding and selections before it are taken up."""

from __future__ import annotations

import numpy as np

from ....ir.graph import Node
from ..fixed import Fixed
from ..network import Convolution, Floats, Layer
from .build import Build, Value, channels_first, refusal
from .quantised import rescaled, typed_weight
from .selection import as_image, one_hot, selected, view
from .views import Ints, View
from .windows import Pads, Window, window


def convolution(build: Build, node: Node) -> Value:
    """Lower Conv in one or two dimensions. Raises LoweringError for more, or for a computed weight."""
    value = build.read(node)
    places = as_image(node, value.places)
    weight, grid, scale = typed_weight(build, node, 0)
    bias = np.zeros(len(weight)) if build.stored(node, 2) is None else build.weight(node, 2)
    shape = build.shape(node, node.outputs[0])
    if weight.ndim != value.places.ndim:
        raise refusal(node, f"its weight has shape {weight.shape}", "use at most two spatial dimensions")
    rows, columns = (1, *shape[2:])[-2:]
    image = (places.shape[1], places.shape[2])
    slides = window(node, build.graph.opset, weight.shape[2:], image, (rows, columns))
    group = int(node.attribute("group", build.graph.opset, 1))
    depthwise = group == len(places) == len(weight) and group > 1
    kernel = spread(weight.reshape(*weight.shape[:2], *slides.size), slides)
    kernel = kernel.transpose(0, 1, 3, 2) if depthwise else blocks(kernel, group)
    inner = bias if scale is None else np.zeros_like(bias)
    layer = convolved(build, node, value.layer, places, kernel, inner, slides, depthwise, grid)
    return Value(rescaled(build, node, layer, scale, bias), channels_first(layer.shape).reshape(shape))


def convolved(
    build: Build,
    node: Node,
    layer: Layer,
    places: Ints,
    kernel: Floats,
    bias: Floats,
    slides: Window,
    depthwise: bool = False,
    grid: Fixed | None = None,
) -> Layer:
    """Convolve ``places`` (C, H, W) of a layer with a kernel (kh, kw, C, C_out), or (kh, kw, C, 1), of a type."""
    seen = view(node, places, layer)
    source, kernel, extra = _taken_up(build, node, layer, seen, kernel, depthwise)
    pads = slides.padded(extra)
    rows, columns = (
        (size + before + behind - reach) // step + 1
        for size, before, behind, reach, step in zip(
            source.shape[:2], pads[:2], pads[2:], kernel.shape[:2], slides.strides, strict=True
        )
    )
    shape = (rows, columns, len(bias))
    return build.add(
        Convolution(
            node.name, (source.name,), shape, node.name, kernel, bias, slides.strides, pads, depthwise, weight_grid=grid
        )
    )  # fmt: skip


def _taken_up(
    build: Build, node: Node, layer: Layer, seen: View, kernel: Floats, depthwise: bool
) -> tuple[Layer, Floats, Pads]:
    """Return what to read, with which kernel and how many more zeros around.

    A selection of channels goes into the kernel, as rows of zeros, where that costs no more weights than selecting.
    """
    if seen.pads is None:
        return selected(build, node, layer, seen), kernel, (0, 0, 0, 0)
    if seen.takes_all_channels:
        return layer, kernel, seen.pads
    taps, results = kernel.shape[0] * kernel.shape[1], kernel.shape[3]
    apart = len(seen.channels) * (seen.depth + taps * results)
    if depthwise or seen.depth * taps * results > apart:
        return selected(build, node, layer, seen), kernel, (0, 0, 0, 0)
    return layer, np.einsum("dc,hwco->hwdo", one_hot(seen.channels, seen.depth), kernel), seen.pads


def spread(weight: Floats, slides: Window) -> Floats:
    """Bring a weight (C_out, C/group, kh, kw) to (kh, kw, C/group, C_out), dilated taps apart."""
    kernel = np.zeros((*slides.reach, weight.shape[1], weight.shape[0]))
    kernel[:: slides.dilations[0], :: slides.dilations[1]] = weight.transpose(2, 3, 1, 0)
    return kernel


def blocks(kernel: Floats, group: int) -> Floats:
    """Put groups (kh, kw, C/group, C_out) on the diagonal of (kh, kw, C, C_out)."""
    height, width, depth, results = kernel.shape
    whole = np.zeros((height, width, depth * group, results))
    each = results // group
    for index in range(group):
        columns = slice(index * each, (index + 1) * each)
        whole[:, :, index * depth : (index + 1) * depth, columns] = kernel[..., columns]
    return whole
