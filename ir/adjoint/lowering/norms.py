"""Normalisations by what lies around."""

from __future__ import annotations

from math import prod

from ...arguments import axis
from ..step import Step

_EUCLIDEAN = 2


def lp_normalization(step: Step) -> list[str]:
    """Divide by the norm along an axis; zeros stay zeros."""
    sheet, along = step.sheet, axis(step.node, step.opset, len(step.shape()))
    op = "ReduceL2" if int(step.attribute("p", _EUCLIDEAN)) == _EUCLIDEAN else "ReduceL1"
    norm = sheet.add(op, step.x(), sheet.ints([along]), keepdims=1)
    return [sheet.add("Div", step.x(), sheet.add("Max", norm, sheet.constant(_SMALLEST)))]


_SMALLEST = 1e-30


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
