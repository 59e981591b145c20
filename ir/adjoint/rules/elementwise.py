"""Operators that meet their operands entry by entry, broadcast."""

from collections.abc import Mapping

import onnx

from ..step import Step
from .activations import positive


def add(step: Step) -> Mapping[int, str]:
    """Return the gradients of a sum of any number of operands."""
    return {index: step.fitted(step.slope, index) for index in step.wanted}


def mean(step: Step) -> Mapping[int, str]:
    """Return the gradients of the mean of operands."""
    share = step.sheet.add("Mul", step.slope, step.sheet.constant(1 / len(step.node.inputs)))
    return {index: step.fitted(share, index) for index in step.wanted}


def sub(step: Step) -> Mapping[int, str]:
    """Return the gradients of ``a - b``."""
    signed = {0: step.slope, 1: step.sheet.add("Neg", step.slope) if 1 in step.wanted else ""}
    return {index: step.fitted(signed[index], index) for index in step.wanted}


def mul(step: Step) -> Mapping[int, str]:
    """Return the gradients of ``a b``."""
    return {index: step.fitted(step.sheet.add("Mul", step.slope, step.x(1 - index)), index) for index in step.wanted}


def div(step: Step) -> Mapping[int, str]:
    """Return the gradients of ``a / b``: ``1 / b`` and ``-y / b``."""
    share, found = step.sheet.add("Div", step.slope, step.x(1)), {}
    if 0 in step.wanted:
        found[0] = step.fitted(share, 0)
    if 1 in step.wanted:
        found[1] = step.fitted(step.sheet.add("Neg", step.sheet.add("Mul", share, step.y())), 1)
    return found


def power(step: Step) -> Mapping[int, str]:
    """Return the gradients of ``a ** b``: ``b a ** (b - 1)`` and ``y log a``."""
    sheet, found = step.sheet, {}
    if 0 in step.wanted:
        exponent = sheet.add("Cast", step.x(1), to=onnx.TensorProto.FLOAT)
        lower = sheet.add("Pow", step.x(0), sheet.add("Sub", exponent, sheet.constant(1.0)))
        found[0] = step.fitted(sheet.add("Mul", step.slope, sheet.add("Mul", exponent, lower)), 0)
    if 1 in step.wanted:
        log = sheet.add("Mul", step.y(), sheet.add("Log", step.x(0)))
        found[1] = step.fitted(sheet.add("Mul", step.slope, log), 1)
    return found


def extreme(step: Step) -> Mapping[int, str]:
    """Return the gradients of Max or Min: the slope goes to the operands that are the extreme, in equal parts."""
    sheet = step.sheet
    among = [sheet.truth(sheet.add("Equal", each.name, step.y())) for each in step.node.inputs]
    share = sheet.add("Div", step.slope, sheet.total(among))
    return {index: step.fitted(sheet.add("Mul", among[index], share), index) for index in step.wanted}


def where(step: Step) -> Mapping[int, str]:
    """Return the gradients of a choice between two operands."""
    sheet, found = step.sheet, {}
    for index in step.wanted & {1, 2}:
        chosen = step.x(0) if index == 1 else sheet.add("Not", step.x(0))
        found[index] = step.fitted(sheet.add("Mul", step.slope, sheet.truth(chosen)), index)
    return found


def prelu(step: Step) -> Mapping[int, str]:
    """Return the gradients of ``x`` where it is positive and ``a x`` elsewhere."""
    sheet, zero, found = step.sheet, step.sheet.constant(0.0), {}
    if 0 in step.wanted:
        rest = sheet.add("Mul", sheet.add("Sub", sheet.constant(1.0), step.x(1)), positive(step, step.x(0)))
        found[0] = sheet.add("Mul", step.slope, sheet.add("Add", step.x(1), rest))
    if 1 in step.wanted:
        found[1] = step.fitted(sheet.add("Mul", step.slope, sheet.add("Min", step.x(0), zero)), 1)
    return found
