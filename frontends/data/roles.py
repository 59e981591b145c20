"""How samples lie along inputs: along the first axis, another, or none, as the user, the model or the data tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from ...ir.errors import CalibrationError, UsageError
from ...ir.feeds import Feeds, length
from ...ir.graph import Array
from .form import Form, Input

_HINT = "write NAME=constant, NAME=batch:AXIS or NAME=state"


class Role(NamedTuple):
    """``axis``: which one counts samples, None for none; ``zero``: it starts at zero where the data lack it."""

    axis: int | None
    zero: bool = False


def roles(given: Sequence[str], form: Form) -> dict[str, Role]:
    """Read texts like ``h0=batch:1`` by the names of inputs. Raises UsageError."""
    found = {}
    for text in given:
        name, _, word = text.rpartition("=")
        kind, _, axis = word.partition(":")
        inputs = {each.name: each for each in form.inputs}
        if name not in inputs:
            raise UsageError(f"--input '{text}' names no input", why=f"they are {form.listed}", hint=_HINT)
        if kind == "batch" and axis.isdecimal() and int(axis) < (inputs[name].rank or 99):
            found[name] = Role(int(axis))
        elif word == "constant":
            found[name] = Role(None)
        elif word == "state":
            found[name] = Role(_of_state(inputs[name], form), zero=True)
        else:
            raise UsageError(f"cannot read --input '{text}'", hint=_HINT)
    return found


def aside(form: Form, asked: Mapping[str, Role]) -> dict[str, int | None]:
    """Return the axes of samples that are not the first, as the user or the model say; None for constants."""
    told = {each.name: declared(each, form) for each in form.inputs if each.rank}
    axes = told | {name: role.axis for name, role in asked.items()}
    return {name: axis for name, axis in axes.items() if axis != 0}


def settled(form: Form, found: Feeds, asked: Mapping[str, Role]) -> dict[str, int | None]:
    """Return which axis counts samples where it is not the first, None for a constant, by the first piece of data.

    What is asked for counts before a symbol of the model that leads another input; then, an array of the very shape
    that the model fixes is a constant where other arrays hold another number of samples, or, if one of its axes is open
    and as long as these, that is its axis.
    """
    lie: dict[str, int | None] = {name: role.axis for name, role in asked.items()}
    present = [each for each in form.inputs if each.name in found]
    for each in present:
        own = None if each.rank == 0 else declared(each, form)
        if each.name not in lie and own != 0 and found[each.name].ndim == each.rank:
            lie[each.name] = own
    unsure = [each for each in present if each.name not in lie and each.fixes(found[each.name].shape)]
    sure = found.keys() - {each.name for each in unsure}
    axes = {name: axis for name in sure if (axis := lie.get(name, 0)) is not None}
    counts = {found[name].shape[axis] for name, axis in axes.items() if found[name].ndim > axis}
    if len(counts) == 1:
        lie |= {each.name: _alike(each, found[each.name].shape, *counts) for each in unsure}
    return {name: axis for name, axis in lie.items() if axis != 0}


def _alike(wanted: Input, shape: tuple[int, ...], count: int) -> int | None:
    """Return the axis that is as long as there are samples: the first, or the only other that the model leaves open."""
    axes = [axis for axis in wanted.open if shape[axis] == count]
    return 0 if shape[0] == count else axes[0] if len(axes) == 1 else None


def started(form: Form, found: Feeds, lie: Mapping[str, int | None]) -> Feeds:
    """Add zeros for states that the data lack. Raises CalibrationError where the model leaves their size open."""
    missing = [each for each in form.inputs if each.name not in found]
    if not missing:
        return found
    count = length(found, lie)
    return {**found, **{each.name: _zeros(each, lie.get(each.name, 0), count) for each in missing}}


def _zeros(wanted: Input, axis: int | None, count: int) -> Array:
    dims = [count if place == axis else dim for place, dim in enumerate(wanted.shape or ())]
    sizes = [dim for dim in dims if isinstance(dim, int) and dim > 0]
    if len(sizes) < len(dims) or wanted.shape is None:
        why = f"the model leaves its size open: {wanted.written(axis)}"
        hint = "put it in the data"
        raise CalibrationError(f"no zeros can be made for the state '{wanted.name}'", why=why, hint=hint)
    return np.zeros(sizes, wanted.dtype)


def _of_state(wanted: Input, form: Form) -> int | None:
    """Return the axis that the model declares, else the first open one; None for a state of one size."""
    axis = declared(wanted, form)
    if axis or not wanted.shape or not isinstance(wanted.shape[0], int):
        return axis
    return next(iter(wanted.open), None)


def declared(wanted: Input, form: Form) -> int:
    """Return the axis of a symbol that leads another input, where the first axis is fixed; else the first."""
    leading = {each.shape[0] for each in form.inputs if each.shape and isinstance(each.shape[0], str)}
    dims = wanted.shape or ()
    if not dims or not isinstance(dims[0], int) or dims[0] == 0:
        return 0
    return next((axis for axis, dim in enumerate(dims) if dim in leading), 0)
