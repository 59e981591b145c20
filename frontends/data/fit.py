"""Fit pieces of data to a model: what is safe is done and said, all else is refused with a way out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...ir.errors import CalibrationError
from ...ir.feeds import Feeds, length
from ...ir.graph import Array
from .form import Form, Input
from .roles import Role, declared, settled, started

_ARRAYS = (np.ndarray, np.generic, bool, int, float)
_LAYOUTS = {
    "channels last": (-1, 1, {3: "0, 2, 1", 4: "0, 3, 1, 2", 5: "0, 4, 1, 2, 3"}),
    "channels first": (1, -1, {3: "0, 2, 1", 4: "0, 2, 3, 1", 5: "0, 2, 3, 4, 1"}),
    "samples last": (-1, 0, {2: "1, 0", 3: "2, 0, 1", 4: "3, 0, 1, 2", 5: "4, 0, 1, 2, 3"}),
}


@dataclass
class Fit:
    """Makes pieces what the model takes, one by one; ``notes`` gathers what was done to them.

    ``asked``: how samples lie along some inputs; ``lie``, which the first piece settles: how they do along all.
    ``constants``: what is the same at every run. ``uneven``: whether samples came in several shapes.
    """

    form: Form
    asked: Mapping[str, Role] = field(default_factory=dict)
    notes: dict[str, None] = field(default_factory=dict)
    lie: dict[str, int | None] | None = None
    constants: Feeds = field(default_factory=dict)
    uneven: bool = False
    _first: dict[str, tuple[int, ...]] = field(default_factory=dict)

    def __call__(self, piece: object, place: str) -> Feeds:
        """Return the arrays that are wanted as the model types them. Raises CalibrationError."""
        found = self._batch(self._named(piece, place))
        if self.lie is None:
            self.lie = settled(self.form, found, self.asked)
            self.notes |= dict.fromkeys(map(_said, self.lie, self.lie.values()))
        found = started(self.form, found, self.lie)
        for each in self.form.inputs:
            where, axis = f"array '{each.name}' in {place}", self.lie.get(each.name, 0)
            _check_shape(found[each.name], each, axis, where)
            found[each.name] = self._typed(found[each.name], each, where)
            self._note_shape(found[each.name], each.name, axis, where)
        length(found, self.lie)
        return found

    def count(self, piece: Mapping[str, Array]) -> int:
        """Return how many samples a piece holds that was fitted."""
        return length(piece, self.lie or {})

    def _named(self, piece: object, place: str) -> Feeds:
        if isinstance(piece, np.ndarray):
            piece = {self.form.lone(place).name: piece}
        if not isinstance(piece, Mapping) or not all(isinstance(array, _ARRAYS) for array in piece.values()):
            raise CalibrationError(f"{place} is no dict of numpy arrays", hint="yield {input name: array}")
        chosen = self.form.chosen(piece, place)
        for name, key in chosen.items():
            if name != key:
                self.notes[f"input '{name}': array '{key}' in the data is taken for it"] = None
        return {name: np.asarray(piece[key]) for name, key in chosen.items()}

    def _batch(self, found: Feeds) -> Feeds:
        """Make a batch of a single sample."""
        inputs = {each.name: each for each in self.form.inputs}
        ones = {name: array for name, array in found.items() if not self._is_constant(inputs.get(name), array)}
        if not ones or not all(self.form.single(name, array.ndim) for name, array in ones.items()):
            return found
        axes = {name: declared(inputs[name], self.form) if name in inputs else 0 for name in ones}
        axes |= {name: role.axis for name, role in self.asked.items() if name in ones and role.axis is not None}
        return {**found, **{name: np.expand_dims(array, axes[name]) for name, array in ones.items()}}

    def _is_constant(self, wanted: Input | None, array: Array) -> bool:
        if wanted is None:
            return False
        role = self.asked.get(wanted.name)
        return wanted.rank == 0 or wanted.fixes(array.shape) or (role is not None and role.axis is None)

    def _typed(self, array: Array, wanted: Input, where: str) -> Array:
        cast = array if array.dtype == wanted.dtype else _cast(array, wanted.dtype)
        if cast is None:
            kind = wanted.dtype.name
            hint = f"prepare it as the model expects, then .astype('{kind}')"
            raise CalibrationError(f"{where} is {array.dtype.name}, the model takes {kind}", hint=hint)
        if cast is not array:
            unscaled = ", its numbers as they are" if array.dtype.kind in "ui" and cast.dtype.kind == "f" else ""
            was, now = array.dtype.name, cast.dtype.name
            self.notes[f"input '{wanted.name}': {was} in the data, taken as {now}{unscaled}"] = None
        if cast.dtype.kind in "fV" and not np.isfinite(cast).all():
            raise CalibrationError(f"{where} holds NaN or Inf", hint="check how the samples are made")
        return cast

    def _note_shape(self, array: Array, name: str, axis: int | None, where: str) -> None:
        """Remember shapes of samples. Raises CalibrationError for a constant that is another one than before."""
        if axis is None:
            known = self.constants.setdefault(name, np.array(array))
            if not np.array_equal(known, array):
                hint = f"give it to every sample, or one value for all; --input {name}=batch:0 if samples lie along it"
                raise CalibrationError(f"{where} is another one than before, but the same for all samples", hint=hint)
            return
        shape = array.shape[:axis] + array.shape[axis + 1 :]
        if self._first.setdefault(name, shape) != shape and not self.uneven:
            self.uneven = True
            self.notes["samples have several shapes: costs are those of the first one"] = None


def _said(name: str, axis: int | None) -> str:
    return f"input '{name}': {'the same for all samples' if axis is None else f'samples lie along its axis {axis}'}"


def _check_shape(array: Array, wanted: Input, axis: int | None, where: str) -> None:
    if wanted.takes(array.shape, axis):
        return
    takes = f"where the model takes {wanted.written(axis)}"
    for called, (source, to, order) in _LAYOUTS.items() if axis == 0 else ():
        axes = array.ndim
        if axes in order and wanted.takes(np.moveaxis(array, source, to).shape):
            why = f"{list(array.shape)} has its {called} {takes}"
            raise CalibrationError(f"{where} lies in another layout", why=why, hint=f".transpose({order[axes]}) fits")
    raise CalibrationError(f"{where} has the wrong shape", why=f"{list(array.shape)} {takes}")


def _cast(array: Array, dtype: np.dtype[Any]) -> Array | None:
    """Return the numbers as another type that holds them, or floats rounded; None where that would change them."""
    whole = array.dtype.kind in "bui"
    if dtype.kind == "f" and array.dtype.kind in "fV":
        with np.errstate(over="ignore"):
            return array.astype(dtype)
    if not array.size:
        return array.astype(dtype)
    if whole and dtype.kind == "f":
        exact = 2 ** (np.finfo(dtype).nmant + 1)
        return array.astype(dtype) if -exact <= int(array.min()) and int(array.max()) <= exact else None
    if whole and dtype.kind in "ui":
        limits = np.iinfo(dtype)
        fits = limits.min <= int(array.min()) and int(array.max()) <= limits.max
        return array.astype(dtype) if fits else None
    return None
