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

_LAYOUTS = {
    "channels last": (-1, 1, {3: "0, 2, 1", 4: "0, 3, 1, 2", 5: "0, 4, 1, 2, 3"}),
    "channels first": (1, -1, {3: "0, 2, 1", 4: "0, 2, 3, 1", 5: "0, 2, 3, 4, 1"}),
    "samples last": (-1, 0, {2: "1, 0", 3: "2, 0, 1", 4: "3, 0, 1, 2", 5: "4, 0, 1, 2, 3"}),
}


@dataclass
class Fit:
    """Makes pieces what the model takes, one by one; ``notes`` gathers what was done to them."""

    form: Form
    notes: dict[str, None] = field(default_factory=dict)
    _first: dict[str, tuple[int, ...]] = field(default_factory=dict)

    def __call__(self, piece: object, place: str) -> Feeds:
        """Return the arrays that are wanted, samples first, as the model types them. Raises CalibrationError."""
        found = self._batch(self._named(piece, place))
        for each in self.form.inputs:
            where = f"array '{each.name}' in {place}"
            _check_shape(found[each.name], each, where)
            found[each.name] = self._typed(found[each.name], each, where)
            self._check_alike(found[each.name], each.name, place)
        length(found)
        return found

    def _named(self, piece: object, place: str) -> Feeds:
        if isinstance(piece, np.ndarray):
            piece = {self.form.lone(place).name: piece}
        if not isinstance(piece, Mapping) or not all(isinstance(array, np.ndarray) for array in piece.values()):
            raise CalibrationError(f"{place} is no dict of numpy arrays", hint="yield {input name: array}")
        chosen = self.form.chosen(piece, place)
        for name, key in chosen.items():
            if name != key:
                self.notes[f"input '{name}': array '{key}' in the data is taken for it"] = None
        return {name: piece[key] for name, key in chosen.items()}

    def _batch(self, found: Feeds) -> Feeds:
        """Make a batch of a single sample."""
        if not all(self.form.single(name, array.ndim) for name, array in found.items()):
            return found
        return {name: array[None] for name, array in found.items()}

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

    def _check_alike(self, array: Array, name: str, place: str) -> None:
        shape = self._first.setdefault(name, array.shape[1:])
        if array.shape[1:] != shape:
            own = list(array.shape[1:])
            message = f"array '{name}' in {place} has samples of shape {own}, earlier ones have {list(shape)}"
            raise CalibrationError(message, hint="bring all samples to one shape")


def _check_shape(array: Array, wanted: Input, where: str) -> None:
    if wanted.takes(array.shape):
        return
    for called, (source, to, order) in _LAYOUTS.items():
        axes = array.ndim
        if axes in order and wanted.takes(np.moveaxis(array, source, to).shape):
            why = f"{list(array.shape)} has its {called} where the model takes {wanted}"
            raise CalibrationError(f"{where} lies in another layout", why=why, hint=f".transpose({order[axes]}) fits")
    why = f"{list(array.shape)} where the model takes {wanted}"
    raise CalibrationError(f"{where} has the wrong shape", why=why)


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
