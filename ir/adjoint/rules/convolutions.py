"""Convolutions and their transposes: gradients by data, weight and bias. Forms: docs/design/013-gradients.md."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import gcd, prod

import numpy as np

from ...geometry import geometry
from ...shapes import Shape
from ..sheet import Sheet
from ..step import Step

_BLOCK = 8  # channels of a grouped convolution whose weights' gradient is computed with that of their neighbours


@dataclass(frozen=True)
class Walk:
    """How a kernel walks, by spatial axis: sizes of what it reads, of itself and of what it writes, and its steps."""

    inputs: Shape
    kernel: Shape
    outputs: Shape
    strides: Sequence[int]
    dilations: Sequence[int]
    begin: Sequence[int]
    groups: int

    @property
    def reach(self) -> list[int]:
        """How far the kernel spans."""
        return [(size - 1) * apart + 1 for size, apart in zip(self.kernel, self.dilations, strict=True)]

    @property
    def span(self) -> list[int]:
        """How much of the padded input is read."""
        rows = zip(self.outputs, self.strides, self.reach, strict=True)
        return [(count - 1) * step + reach for count, step, reach in rows]

    @property
    def end(self) -> list[int]:
        """The padding behind what is read; negative where the end of the input is not read."""
        rows = zip(self.span, self.begin, self.inputs, strict=True)
        return [span - begin - size for span, begin, size in rows]

    @property
    def is_pointwise(self) -> bool:
        """Whether it is a product of matrices at every place."""
        return self.groups == 1 and self.inputs == self.outputs and all(size == 1 for size in self.kernel)


def conv(step: Step) -> Mapping[int, str]:
    """Return the gradients of ``y = conv(x, w) + b``; by data through the transposed convolution."""
    walk = _walk(step, step.shape()[2:], step.shape_out()[2:])
    found = {2: bias(step)}
    if 0 in step.wanted:
        found[0] = spread(step.sheet, step.slope, step.x(1), walk)
    if 1 in step.wanted:
        batch, inner = step.shape()[:2]
        found[1] = by_weight(step.sheet, step.x(0), step.slope, (batch, inner, step.shape_out()[1]), walk)
    return found


def conv_transpose(step: Step) -> Mapping[int, str]:
    """Return the gradients of a transposed convolution, whose adjoint is the convolution it is the transpose of."""
    walk = _transposed(step)
    found = {2: bias(step)}
    if 0 in step.wanted:
        cropped = step.sheet.pad(step.slope, [0] * (2 + len(walk.end)), [0, 0, *(min(0, e) for e in walk.end)])
        pads = [*walk.begin, *(max(0, e) for e in walk.end)]
        form = {"strides": walk.strides, "dilations": walk.dilations, "group": walk.groups, "pads": pads}
        found[0] = step.sheet.add("Conv", cropped, step.x(1), **form)
    if 1 in step.wanted:
        batch, inner = step.shape()[:2]
        found[1] = by_weight(step.sheet, step.slope, step.x(0), (batch, step.shape_out()[1], inner), walk)
    return found


def bias(step: Step) -> str:
    """Sum the slope over samples and positions."""
    if 2 not in step.wanted:
        return ""
    return step.sheet.sum(step.slope, [0, *range(2, len(step.shape_out()))])


def spread(sheet: Sheet, slope: str, weight: str, walk: Walk) -> str:
    """Apply the transposed convolution to what a convolution gives, so that it has the size of what that reads."""
    if walk.is_pointwise:
        return sheet.add("Conv", slope, sheet.transpose(weight, (1, 0, *range(2, 2 + len(walk.kernel)))))
    missing = [max(0, -end) for end in walk.end]
    pads = [*walk.begin, *(max(0, end) for end in walk.end)]
    form = {"strides": walk.strides, "dilations": walk.dilations, "pads": pads, "group": walk.groups}
    return sheet.add("ConvTranspose", slope, weight, output_padding=missing, **form)


def by_weight(sheet: Sheet, x: str, slope: str, sizes: tuple[int, int, int], walk: Walk) -> str:
    """Return ``dw[m, c, i, j] = sum_{n, h, w} slope[n, m, h, w] x[n, c, s h + d i - p, s w + d j - p]``.

    ``sizes``: samples, channels of ``x`` and of ``slope``. One convolution does it, of group g for g groups: samples
    are its channels, the slope is its kernel, dilated by the strides, and the channels of ``x`` lie side by side on
    its last axis, so that a step of one tap is a step of c entries there.
    """
    if walk.is_pointwise:
        return _by_matrix(sheet, x, slope, sizes, walk)
    batch, inner, outer = sizes
    block = _block(inner, outer, walk.groups)
    groups, width, dims = walk.groups // block, block * inner // walk.groups, len(walk.kernel)
    cropped = sheet.pad(x, [0] * (2 + dims), [0, 0, *(min(0, end) for end in walk.end)])
    read = [size + min(0, end) for size, end in zip(walk.inputs, walk.end, strict=True)]
    side = _swapped(sheet, cropped, (batch * groups, width, prod(read)), 1)
    wide = _swapped(sheet, side, (batch, groups, prod(read) * width), 0)
    data = sheet.reshape(wide, (1, groups * batch, *read[:-1], read[-1] * width))
    kernel = sheet.reshape(_swapped(sheet, slope, (batch, outer, prod(walk.outputs)), 0), (outer, batch, *walk.outputs))
    product = sheet.add("Conv", data, kernel, group=groups, **_widened(walk, width))
    taps = (*walk.kernel[:-1], walk.reach[-1])
    found = sheet.reshape(product, (outer, *taps, width))
    if walk.dilations[-1] > 1:
        found = sheet.slice(found, {dims: (0, walk.reach[-1], walk.dilations[-1])})
    turned = _swapped(sheet, found, (outer, prod(walk.kernel), width), 1)
    return _own(sheet, sheet.reshape(turned, (outer, width, *walk.kernel)), block, (outer, width), dims)


def _by_matrix(sheet: Sheet, x: str, slope: str, sizes: tuple[int, int, int], walk: Walk) -> str:
    """Return the gradient by the weight of a pointwise convolution.

    A product for each sample, added up, where that is less to move than samples side by side in one product.
    """
    batch, inner, outer = sizes
    places = prod(walk.outputs)
    if inner * outer < places * (inner + outer):
        turned = _swapped(sheet, x, (batch, inner, places), 1)
        left, right = sheet.reshape(slope, (batch, outer, places)), sheet.reshape(turned, (batch, places, inner))
        found = sheet.sum(sheet.add("MatMul", left, right), [0])
    else:
        left, right = (
            sheet.reshape(_swapped(sheet, t, (batch, channels, places), 0), (channels, batch * places))
            for t, channels in ((slope, outer), (x, inner))
        )
        found = sheet.add("Gemm", left, right, transB=1)
    return sheet.reshape(found, (outer, inner, *walk.kernel))


def _swapped(sheet: Sheet, x: str, shape: tuple[int, int, int], axis: int) -> str:
    """Exchange an axis of ``shape`` with the next; of three axes onnxruntime does so ten times as fast as of five."""
    if 1 in shape[axis : axis + 2]:
        return x
    order = (1, 0, 2) if axis == 0 else (0, 2, 1)
    return sheet.transpose(sheet.reshape(x, shape), order)


def _widened(walk: Walk, width: int) -> dict[str, list[int]]:
    """Return the steps and pads of the slope as a kernel, where each place of the last axis has become ``width``."""
    scale = [1] * (len(walk.kernel) - 1) + [width]
    sides = (walk.begin, [max(0, end) for end in walk.end])
    return {
        "pads": [pad * by for side in sides for pad, by in zip(side, scale, strict=True)],
        "dilations": [step * by for step, by in zip(walk.strides, scale, strict=True)],
        "strides": [*walk.dilations[:-1], 1],
    }


def _block(inner: int, outer: int, groups: int) -> int:
    """Return how many groups are computed as one: where each is of one channel, a few of them are quicker."""
    return gcd(groups, _BLOCK) if inner == groups == outer else 1


def _own(sheet: Sheet, found: str, block: int, sizes: tuple[int, int], dims: int) -> str:
    """Of (outputs, inputs of a block, ...) keep the input of each output's own group."""
    if block == 1:
        return found
    own = np.eye(block)[np.arange(sizes[0]) % block].reshape(sizes[0], block, *[1] * dims)
    return sheet.sum(sheet.add("Mul", found, sheet.constant(own)), [1], keep=True)


def _walk(step: Step, inputs: Shape, outputs: Shape) -> Walk:
    form = geometry(step.node, step.opset, step.shape(1)[2:])
    begin, _ = form.pads(inputs)
    groups = int(step.attribute("group", 1))
    return Walk(inputs, form.kernel, outputs, form.strides, form.dilations, begin, groups)


def _transposed(step: Step) -> Walk:
    """Return the walk of the convolution that a transposed one is the adjoint of."""
    inputs, outputs = step.shape_out()[2:], step.shape()[2:]
    form = geometry(step.node, step.opset, step.shape(1)[2:])
    begin = list(form.begin)
    if form.auto_pad or step.attribute("output_shape"):
        more = step.attribute("output_padding") or [0] * len(inputs)
        rows = zip(outputs, form.strides, form.reach(), more, inputs, strict=True)
        total = [max(0, step_ * (count - 1) + int(reach) + extra - size) for count, step_, reach, extra, size in rows]
        begin = [amount // 2 if form.auto_pad == "SAME_UPPER" else amount - amount // 2 for amount in total]
    return Walk(inputs, form.kernel, outputs, form.strides, form.dilations, begin, int(step.attribute("group", 1)))
