"""Normalisations by what lies around."""

from __future__ import annotations

from math import prod

from ...arguments import axis
from ..step import Step

_EUCLIDEAN = 2
_POSITIONS = (0, 2, 3)
_LEAST = 1e-9  # what ONNX adds to a deviation


def lp_normalization(step: Step) -> list[str]:
    """Divide by the norm along an axis; zeros stay zeros."""
    sheet, along = step.sheet, axis(step.node, step.opset, len(step.shape()))
    op = "ReduceL2" if int(step.attribute("p", _EUCLIDEAN)) == _EUCLIDEAN else "ReduceL1"
    norm = sheet.add(op, step.x(), sheet.ints([along]), keepdims=1)
    there = sheet.truth(sheet.add("Greater", norm, sheet.constant(0.0)))
    least = sheet.add("Sub", sheet.constant(1.0), there)
    return [sheet.add("Div", sheet.add("Mul", step.x(), there), sheet.add("Add", norm, least))]


def mean_variance(step: Step) -> list[str]:
    """Take the mean off, and divide by the deviation, over some axes."""
    sheet, axes = step.sheet, [int(each) for each in step.attribute("axes") or _POSITIONS]
    apart = sheet.add("Sub", step.x(), sheet.mean(step.x(), axes))
    variance = sheet.mean(sheet.add("Mul", apart, apart), axes)
    return [sheet.add("Div", apart, sheet.add("Sqrt", sheet.add("Add", variance, sheet.constant(_LEAST**2))))]


def local_response(step: Step) -> list[str]:
    """``x / (bias + alpha mean(x²))^beta``, the mean over channels around, absent ones counted as zeros."""
    sheet, shape, size = step.sheet, step.shape(), int(step.attribute("size"))
    alpha, beta, bias = (float(step.attribute(name)) for name in ("alpha", "beta", "bias"))
    flat = sheet.reshape(sheet.add("Mul", step.x(), step.x()), (shape[0], 1, shape[1], prod(shape[2:])))
    before = (size - 1) // 2
    padded = sheet.pad(flat, (0, 0, before, 0), (0, 0, size - 1 - before, 0))
    mean = sheet.reshape(sheet.add("AveragePool", padded, kernel_shape=[size, 1]), shape)
    scaled = sheet.add("Add", sheet.add("Mul", mean, sheet.constant(alpha)), sheet.constant(bias))
    return [sheet.add("Mul", step.x(), sheet.add("Pow", scaled, sheet.constant(-beta)))]
