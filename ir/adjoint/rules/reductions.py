"""Reductions over axes, and Softmax, which holds one."""

from collections.abc import Callable, Mapping
from math import prod

from ...arguments import axis, reduced_axes
from ...shapes import Shape
from ..step import Step, repeated

_LEAST = 1e-37  # near the least float32 that is not subnormal
Form = Callable[[Step, str, str, int], str]


def reduction(form: Form) -> Callable[[Step], Mapping[int, str]]:
    """Make the rule of a reduction: ``form(step, slope, y, count)``, slope and result kept at size 1 along the axes."""

    def rule(step: Step) -> Mapping[int, str]:
        shape = step.shape()
        named = reduced_axes(step.node, step.opset, len(shape))
        if named is None:
            raise step.refuse("its axes are computed")
        kept = tuple(1 if place in named else size for place, size in enumerate(shape))
        slope, y = (step.sheet.reshape(t, kept) if kept != step.shape_out() else t for t in (step.slope, step.y()))
        count = prod(shape[place] for place in named)
        return {0: repeated(step.sheet, form(step, slope, y, count), shape)}

    return rule


def total(_step: Step, slope: str, _y: str, _count: int) -> str:
    """Of a sum: the slope."""
    return slope


def mean(step: Step, slope: str, _y: str, count: int) -> str:
    """Of a mean: the slope's share."""
    return step.sheet.add("Mul", slope, step.sheet.constant(1 / count))


def sum_of_squares(step: Step, slope: str, _y: str, _count: int) -> str:
    """Of ``sum x^2``: ``2 x``."""
    return step.sheet.add("Mul", step.sheet.add("Mul", slope, step.sheet.constant(2.0)), step.x())


def norm(step: Step, slope: str, y: str, _count: int) -> str:
    """Of ``sqrt(sum x^2)``: ``x / y``, and 0 at 0."""
    sheet = step.sheet
    return sheet.add("Mul", slope, sheet.add("Div", step.x(), sheet.add("Max", y, sheet.constant(_LEAST))))


def norm_of_sizes(step: Step, slope: str, _y: str, _count: int) -> str:
    """Of ``sum |x|``: the sign of x."""
    return step.sheet.add("Mul", slope, step.sheet.add("Sign", step.x()))


def log_of_sum_of_powers(step: Step, slope: str, y: str, _count: int) -> str:
    """Of ``log sum exp x``: ``exp(x - y)``."""
    return step.sheet.add("Mul", slope, step.sheet.add("Exp", step.sheet.add("Sub", step.x(), y)))


def log_of_sum(step: Step, slope: str, y: str, _count: int) -> str:
    """Of ``log sum x``: ``exp(-y)``."""
    return step.sheet.add("Div", slope, step.sheet.add("Exp", y))


def extreme(step: Step, slope: str, y: str, _count: int) -> str:
    """Of the largest or least: the slope, in equal parts for those that are it."""
    sheet = step.sheet
    among = sheet.truth(sheet.add("Equal", step.x(), y))
    named = reduced_axes(step.node, step.opset, len(step.shape())) or []
    return sheet.add("Mul", among, sheet.add("Div", slope, sheet.sum(among, named, keep=True)))


def softmax(step: Step) -> Mapping[int, str]:
    """``y (s - sum(s y))`` for the slope s."""
    moved, place = _summed(step, step.sheet.add("Mul", step.slope, step.y())), step.sheet
    return {0: place.add("Mul", step.y(), place.add("Sub", step.slope, moved))}


def log_softmax(step: Step) -> Mapping[int, str]:
    """``s - exp(y) sum(s)``."""
    sheet = step.sheet
    return {0: sheet.add("Sub", step.slope, sheet.add("Mul", sheet.add("Exp", step.y()), _summed(step, step.slope)))}


def _summed(step: Step, values: str) -> str:
    shape: Shape = step.shape()
    return step.sheet.sum(values, [axis(step.node, step.opset, len(shape))], keep=True)
