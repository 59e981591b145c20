"""Operators that read or write at places that other tensors name."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

from ... import arguments
from ..step import Step, repeated


def gather_elements(step: Step) -> Mapping[int, str]:
    """Add slopes up where entries were taken from."""
    form = {"axis": _axis(step), "reduction": "add"}
    return {0: step.sheet.add("ScatterElements", _zeros(step, 0), step.x(1), step.slope, **form)}


def gather_nd(step: Step) -> Mapping[int, str]:
    """Add slopes up where slices were taken from: entry by entry, as onnxruntime's ScatterND adds without locks."""
    if step.attribute("batch_dims", 0):
        raise step.refuse("its indices have batches of their own")
    sheet, shape, sizes = step.sheet, step.shape(), step.shape(1)
    named, count = sizes[-1], prod(sizes[:-1])
    ahead, rest = shape[:named], prod(shape[named:])
    strides = [prod(ahead[place + 1 :]) for place in range(named)]
    placed = sheet.add("Mod", step.x(1), sheet.ints(ahead))  # from the end, where it is negative
    row = sheet.sum(sheet.add("Mul", placed, sheet.ints(strides)), [len(sizes) - 1])
    rows = repeated(sheet, sheet.reshape(row, (count, 1)), (count, rest))
    zeros = repeated(sheet, sheet.constant(0.0), (prod(ahead), rest))
    slope = sheet.reshape(step.slope, (count, rest))
    found = sheet.add("ScatterElements", zeros, rows, slope, axis=0, reduction="add")
    return {0: sheet.reshape(found, shape)}


def scatter_elements(step: Step) -> Mapping[int, str]:
    """Read slopes where entries were put; what lay there before has none, unless they were added to it."""
    axis, sheet, added, found = _axis(step), step.sheet, _adds(step), {}
    if 0 in step.wanted:
        found[0] = added or sheet.add("ScatterElements", step.slope, step.x(1), _zeros(step, 2), axis=axis)
    if 2 in step.wanted:
        found[2] = sheet.add("GatherElements", step.slope, step.x(1), axis=axis)
    return found


def scatter_nd(step: Step) -> Mapping[int, str]:
    """Read slopes where slices were put; what lay there before has none, unless they were added to it."""
    sheet, added, found = step.sheet, _adds(step), {}
    if 0 in step.wanted:
        found[0] = added or sheet.add("ScatterND", step.slope, step.x(1), _zeros(step, 2))
    if 2 in step.wanted:
        found[2] = sheet.add("GatherND", step.slope, step.x(1))
    return found


def top(step: Step) -> Mapping[int, str]:
    """Put slopes back to the entries that were the largest."""
    form = {name: int(step.attribute(name)) for name in ("axis", "largest", "sorted")}
    _, places = step.sheet.several("TopK", [step.x(0), step.x(1)], 2, **form)
    slope = step.sheet.add("ScatterElements", _zeros(step, 0), places, step.slope, axis=_axis(step))
    return {0: slope}


def cumulative_sum(step: Step) -> Mapping[int, str]:
    """Sum slopes from the other end."""
    form = {"exclusive": int(step.attribute("exclusive", 0)), "reverse": 1 - int(step.attribute("reverse", 0))}
    return {0: step.sheet.add("CumSum", step.slope, step.x(1), **form)}


def _axis(step: Step) -> int:
    return arguments.axis(step.node, step.opset, len(step.shape()))


def _adds(step: Step) -> str | None:
    """Return the slope, where entries are added to what lies there; None where they take its place."""
    how = step.attribute("reduction", "none")
    if how not in ("add", "none"):
        raise step.refuse(f"it combines entries by '{how}'")
    return step.slope if how == "add" else None


def _zeros(step: Step, index: int) -> str:
    return repeated(step.sheet, step.sheet.constant(0.0), step.shape(index))
