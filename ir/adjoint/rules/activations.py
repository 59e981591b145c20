"""Functions of one number: the slope times the derivative, which is written in terms of x, y or both."""

from collections.abc import Callable, Mapping
from math import pi, sqrt

import numpy as np

from ...arguments import clip_bounds
from ..step import Rule, Step


def by(derivative: Callable[[Step], str]) -> Rule:
    """Make the rule of a function whose derivative is written by ``derivative``."""

    def rule(step: Step) -> Mapping[int, str]:
        return {0: step.sheet.add("Mul", step.slope, derivative(step))}

    return rule


def identity(step: Step) -> Mapping[int, str]:
    """Pass the slope on."""
    return {0: step.slope}


def dropout(step: Step) -> Mapping[int, str]:
    """Pass the slope on: outside training nothing is dropped."""
    training = step.stored(2)
    if step.has(2) and (training is None or training.any()):
        raise step.refuse("it is in training mode")
    return {0: step.slope}


def negated(step: Step) -> Mapping[int, str]:
    """Return minus the slope."""
    return {0: step.sheet.add("Neg", step.slope)}


def relu(step: Step) -> str:
    """``1`` where the output is positive."""
    return positive(step, step.y())


def positive(step: Step, x: str) -> str:
    """``1`` where a tensor is positive, 0 elsewhere."""
    return step.sheet.truth(step.sheet.add("Greater", x, step.sheet.constant(0.0)))


def within(step: Step) -> str:
    """``1`` where a Clip passes: where its output lies between its bounds.

    The input lies there too; not to read it lets onnxruntime fuse a Clip with the Conv before it.
    """
    bounds = clip_bounds(step.node, step.opset)
    if bounds is None:
        raise step.refuse("its bounds are computed")
    sheet, y = step.sheet, step.y()
    sides = [("Greater", bounds[0]), ("Less", bounds[1])]
    held = [sheet.add(op, y, sheet.constant(bound)) for op, bound in sides if np.isfinite(bound)]
    return sheet.truth(sheet.add("And", *held) if len(held) == 2 else held[0]) if held else sheet.constant(1.0)


def sigmoid(step: Step) -> str:
    """``y (1 - y)``."""
    return _times_rest(step, step.y())


def tanh(step: Step) -> str:
    """``1 - y^2``."""
    return step.sheet.add("Sub", step.sheet.constant(1.0), step.sheet.add("Mul", step.y(), step.y()))


def hard_sigmoid(step: Step) -> str:
    """``alpha`` where ``0 < y < 1``."""
    return _ramp(step, step.y(), float(step.attribute("alpha", 0.2)))


def _ramp(step: Step, y: str, alpha: float) -> str:
    sheet = step.sheet
    inside = sheet.add("And", sheet.add("Greater", y, sheet.constant(0.0)), sheet.add("Less", y, sheet.constant(1.0)))
    return sheet.add("Mul", sheet.truth(inside), sheet.constant(alpha))


def hard_swish(step: Step) -> str:
    """Of ``x h(x)``, ``h(x) = clip(x / 6 + 1 / 2, 0, 1)``: ``h(x) + x h'(x)``."""
    sheet = step.sheet
    gate = sheet.add("HardSigmoid", step.x(), alpha=1 / 6, beta=0.5)
    return sheet.add("Add", gate, sheet.add("Mul", step.x(), _ramp(step, gate, 1 / 6)))


def elu(step: Step) -> str:
    """``1`` where x is positive, else ``y + alpha``."""
    alpha = float(step.attribute("alpha", 1.0))
    return _bent(step, 1.0, alpha)


def selu(step: Step) -> str:
    """``gamma`` where x is positive, else ``y + gamma alpha``."""
    alpha, gamma = (float(step.attribute(name)) for name in ("alpha", "gamma"))
    return _bent(step, gamma, gamma * alpha)


def leaky_relu(step: Step) -> str:
    """``1`` where x is positive, else ``alpha``."""
    return _by_sign(step, 1.0, float(step.attribute("alpha", 0.01)))


def softplus(step: Step) -> str:
    """``sigmoid(x)``."""
    return step.sheet.add("Sigmoid", step.x())


def erf(step: Step) -> str:
    """``2 / sqrt(pi) exp(-x^2)``."""
    return _bell(step, step.x(), -1.0, 2 / sqrt(pi))


def gelu(step: Step) -> str:
    """Of ``x F(x)``: ``F + x F'``, ``F`` the normal distribution or its approximation by tanh."""
    sheet, x, half, one = step.sheet, step.x(), step.sheet.constant(0.5), step.sheet.constant(1.0)
    if step.attribute("approximate", "none") == "tanh":
        square = sheet.add("Mul", x, x)
        inner = sheet.add("Mul", x, _affine(step, square, 0.044715 * sqrt(2 / pi), sqrt(2 / pi)))
        bend = sheet.add("Tanh", inner)
        rest = sheet.add("Sub", one, sheet.add("Mul", bend, bend))
        change = sheet.add("Mul", rest, _affine(step, square, 3 * 0.044715 * sqrt(2 / pi), sqrt(2 / pi)))
        density = sheet.add("Mul", change, half)
    else:
        bend = sheet.add("Erf", sheet.add("Mul", x, sheet.constant(sqrt(0.5))))
        density = _bell(step, x, -0.5, 1 / sqrt(2 * pi))
    share = sheet.add("Mul", sheet.add("Add", bend, one), half)
    return sheet.add("Add", share, sheet.add("Mul", x, density))


def exp(step: Step) -> str:
    """``y``."""
    return step.y()


def log(step: Step) -> str:
    """``1 / x``."""
    return step.sheet.add("Reciprocal", step.x())


def square_root(step: Step) -> str:
    """``1 / (2 y)``."""
    return step.sheet.add("Div", step.sheet.constant(0.5), step.y())


def reciprocal(step: Step) -> str:
    """``-y^2``."""
    return step.sheet.add("Neg", step.sheet.add("Mul", step.y(), step.y()))


def absolute(step: Step) -> str:
    """Return the sign of x."""
    return step.sheet.add("Sign", step.x())


def sine(step: Step) -> str:
    """``cos x``."""
    return step.sheet.add("Cos", step.x())


def cosine(step: Step) -> str:
    """``-sin x``."""
    return step.sheet.add("Neg", step.sheet.add("Sin", step.x()))


def _affine(step: Step, x: str, scale: float, shift: float) -> str:
    scaled = step.sheet.add("Mul", x, step.sheet.constant(scale))
    return step.sheet.add("Add", scaled, step.sheet.constant(shift))


def _bell(step: Step, x: str, curvature: float, scale: float) -> str:
    power = step.sheet.add("Mul", step.sheet.add("Mul", x, x), step.sheet.constant(curvature))
    return step.sheet.add("Mul", step.sheet.add("Exp", power), step.sheet.constant(scale))


def _times_rest(step: Step, y: str) -> str:
    return step.sheet.add("Mul", y, step.sheet.add("Sub", step.sheet.constant(1.0), y))


def _by_sign(step: Step, above: float, below: float) -> str:
    """Return one of two numbers by the sign of x."""
    return _affine(step, positive(step, step.x()), above - below, below)


def _bent(step: Step, above: float, below: float) -> str:
    """Return ``above`` where x is positive, else ``y + below``."""
    negative = step.sheet.add("Min", step.y(), step.sheet.constant(0.0))
    return step.sheet.add("Add", negative, _by_sign(step, above, below))
