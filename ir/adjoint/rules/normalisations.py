"""Normalisations: of the data by its own mean and variance, or by stored ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

from ...arguments import axis
from ...shapes import Shape
from ..step import Step


def batch_normalization(step: Step) -> Mapping[int, str]:
    """Return the gradients by data, scale and bias, the mean m and variance v stored: ``y = (x - m) i w + b``."""
    if step.attribute("training_mode", 0):
        raise step.refuse("it is in training mode")
    sheet, rank = step.sheet, len(step.shape())
    along = (-1, *[1] * (rank - 2))
    inverse = _inverse(step, step.x(4))
    found, others = {}, [0, *range(2, rank)]
    if 0 in step.wanted:
        factor = sheet.reshape(sheet.add("Mul", step.x(1), inverse), along)
        found[0] = sheet.add("Mul", step.slope, factor)
    if 1 in step.wanted:
        apart = sheet.add("Sub", step.x(0), sheet.reshape(step.x(3), along))
        found[1] = sheet.add("Mul", sheet.sum(sheet.add("Mul", step.slope, apart), others), inverse)
    if 2 in step.wanted:
        found[2] = sheet.sum(step.slope, others)
    if step.wanted - found.keys():
        raise step.refuse("its stored statistics have no gradient")
    return found


def layer_normalization(step: Step) -> Mapping[int, str]:
    """Return the gradients of a normalisation over the last axes, with scale and bias over the same.

    Mean and inverse deviation may be read as well.
    """
    shape = step.shape()
    first = axis(step.node, step.opset, len(shape))
    own = _Own(step, step.x(0), list(range(first, len(shape))))
    slope, *moments = step.slopes
    found = {0: _of_moments(step, own, moments, prod(shape[first:]))} if any(moments) and 0 in step.wanted else {}
    if slope is None:
        return found
    if 0 in step.wanted:
        back = own.back(step.sheet.add("Mul", slope, step.x(1)))
        found[0] = step.sheet.add("Add", back, found[0]) if found else back
    if 1 in step.wanted:
        found[1] = step.fitted(step.sheet.add("Mul", slope, own.normal), 1)
    if 2 in step.wanted:
        found[2] = step.fitted(slope, 2)
    return found


def _of_moments(step: Step, own: _Own, slopes: Sequence[str | None], count: int) -> str:
    """Return the slope by data of its mean, ``1 / count``, and of its inverse deviation i, ``-n i² / count``."""
    sheet = step.sheet
    mean, inverse = [*slopes, None][:2]
    part = sheet.constant(1 / count)
    square = sheet.add("Mul", own.inverse, own.inverse)
    factor = sheet.add("Mul", square, inverse) if inverse is not None else sheet.add("Mul", square, sheet.constant(0.0))
    turned = sheet.add("Mul", own.normal, factor)
    whole = sheet.add("Neg", turned) if mean is None else sheet.add("Sub", mean, turned)
    return sheet.add("Mul", whole, part)


def instance_normalization(step: Step) -> Mapping[int, str]:
    """Return the gradients of a normalisation of every channel of every sample by itself."""
    return _by_channels(step, step.shape()[1])


def group_normalization(step: Step) -> Mapping[int, str]:
    """Return the gradients of a normalisation of groups of channels; scale and bias are by channel, since opset 21."""
    return _by_channels(step, int(step.attribute("num_groups")))


def _by_channels(step: Step, groups: int) -> Mapping[int, str]:
    shape, sheet = step.shape(), step.sheet
    parts = (shape[0], groups, shape[1] // groups, *shape[2:])
    own = _Own(step, sheet.reshape(step.x(0), parts), list(range(2, len(parts))))
    scale, others = _along(step, 1, groups, shape), [0, *range(2, len(shape))]
    found = {}
    if 0 in step.wanted:
        scaled = sheet.reshape(sheet.add("Mul", step.slope, scale), parts)
        found[0] = sheet.reshape(own.back(scaled), shape)
    for index in sorted(step.wanted & {1, 2}):
        product = sheet.add("Mul", step.slope, sheet.reshape(own.normal, shape)) if index == 1 else step.slope
        found[index] = _gathered(step, sheet.sum(product, others), index, shape[1])
    return found


def _along(step: Step, index: int, groups: int, shape: Shape) -> str:
    """Return a parameter as it lies along the channels; before opset 21 there was one for every group."""
    size, rest = step.shape(index)[0], [1] * (len(shape) - 2)
    sheet, value = step.sheet, step.x(index)
    if size != shape[1]:
        value = sheet.add("Expand", sheet.reshape(value, (groups, 1)), sheet.ints((groups, shape[1] // groups)))
    return sheet.reshape(value, (shape[1], *rest))


def _gathered(step: Step, values: str, index: int, channels: int) -> str:
    size = step.shape(index)[0]
    return values if size == channels else step.sheet.sum(step.sheet.reshape(values, (size, channels // size)), [1])


@dataclass
class _Own:
    """``x`` normalised by its own mean and variance over axes: ``n = (x - mean) i``."""

    step: Step
    x: str
    axes: Sequence[int]

    def __post_init__(self) -> None:
        sheet = self.step.sheet
        apart = sheet.add("Sub", self.x, sheet.mean(self.x, self.axes))
        self.inverse = _inverse(self.step, sheet.mean(sheet.add("Mul", apart, apart), self.axes))
        self.normal = sheet.add("Mul", apart, self.inverse)

    def back(self, slope: str) -> str:
        """Return ``i (s - mean(s) - n mean(s n))``."""
        sheet = self.step.sheet
        turn = sheet.mean(sheet.add("Mul", slope, self.normal), self.axes)
        rest = sheet.add("Sub", slope, sheet.mean(slope, self.axes))
        return sheet.add("Mul", self.inverse, sheet.add("Sub", rest, sheet.add("Mul", self.normal, turn)))


def _inverse(step: Step, variance: str) -> str:
    """``1 / sqrt(variance + epsilon)``."""
    shifted = step.sheet.add("Add", variance, step.sheet.constant(float(step.attribute("epsilon", 1e-5))))
    return step.sheet.add("Reciprocal", step.sheet.add("Sqrt", shifted))
