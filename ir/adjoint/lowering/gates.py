"""onnxruntime's approximation of Gelu."""

from __future__ import annotations

from math import pi, sqrt

from ..step import Step


def fast_gelu(step: Step) -> list[str]:
    """``x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x³)))``, of x and perhaps a bias."""
    sheet = step.sheet
    x = sheet.add("Add", step.x(), step.x(1)) if step.has(1) else step.x()
    square = sheet.add("Mul", x, x)
    factor = sheet.add("Add", sheet.add("Mul", square, sheet.constant(0.044715)), sheet.constant(1.0))
    inner = sheet.add("Mul", sheet.add("Mul", x, factor), sheet.constant(sqrt(2 / pi)))
    risen = sheet.add("Add", sheet.add("Tanh", inner), sheet.constant(1.0))
    return [sheet.add("Mul", sheet.add("Mul", x, risen), sheet.constant(0.5))]
