"""Tables of numbers: ``.csv``, a row for every sample, with names of columns in the first row or without."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from pathlib import Path

import numpy as np

from ...ir.errors import CalibrationError
from ...ir.feeds import Feeds
from ...ir.graph import Array
from ...ir.memory import afford
from ..scripts import said
from .form import Form, Input

_COPIES = 8  # of the text: numbers are longer than they are written
_DELIMITERS = ",;\t"


def read(path: Path, form: Form, samples: int | None = None) -> Feeds:
    """Return the columns of a table as arrays, of the first ``samples`` rows.

    A single input takes all columns but those of ``form.extra``, in order; several take the columns of their names.
    Raises CalibrationError for text, an unknown column or too few of them, BudgetError for a table that takes too much
    memory.
    """
    afford(_COPIES * path.stat().st_size, f"'{path}'")
    try:
        delimiter, names = header(path)
        skipped = int(bool(names))
        numbers = np.loadtxt(
            path, delimiter=delimiter, skiprows=skipped, max_rows=samples, ndmin=2, comments=None, encoding="utf-8"
        )
    except (OSError, ValueError) as error:
        hint = "a table holds numbers only, under one row of names"
        raise CalibrationError(f"cannot read '{path}'", why=said(error), hint=hint) from error
    return _columns(numbers, names, form, f"'{path}'")


def header(path: Path) -> tuple[str, list[str]]:
    """Return what separates columns, and their names, none where the first row holds numbers. Raises OSError."""
    with path.open(encoding="utf-8-sig") as stream:
        first = stream.readline().strip()
    delimiter = max(_DELIMITERS, key=first.count)
    names = [name.strip().strip('"') for name in first.split(delimiter)]
    named = not all(map(_is_number, names)) or names == list(map(str, range(len(names))))
    return delimiter, names if named else []


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _columns(numbers: Array, names: Sequence[str], form: Form, place: str) -> Feeds:
    for name in (*form.extra, *(each.name for each in form.inputs if len(form.inputs) > 1)):
        if name not in names:
            held = ", ".join(f"'{each}'" for each in names) or "none has a name"
            raise CalibrationError(f"{place} has no column '{name}'", why=f"its columns: {held}")
    found = {name: _whole(numbers[:, names.index(name)]) for name in form.extra}
    if len(form.inputs) == 1:
        rest = [column for column in range(numbers.shape[1]) if not names or names[column] not in form.extra]
        return {form.inputs[0].name: _shaped(numbers[:, rest], form.inputs[0], place), **found}
    own = {each.name: numbers[:, [names.index(each.name)]] for each in form.inputs}
    return {**{each.name: _shaped(own[each.name], each, place) for each in form.inputs}, **found}


def _shaped(columns: Array, wanted: Input, place: str) -> Array:
    """Lay the columns of a row out as a sample, row-major."""
    sizes = [dim if isinstance(dim, int) and dim > 0 else -1 for dim in (wanted.shape or (0, 0))[1:]]
    count = columns.shape[1]
    fits = count == prod(sizes) if -1 not in sizes else sizes.count(-1) == 1 and count % prod(sizes) == 0
    if not fits:
        why = f"a row has {count} columns for '{wanted.name}', the model takes {wanted.written()}"
        more = -1 not in sizes and count == prod(sizes) + 1
        hint = "name the column of labels with --labels" if more else ""
        raise CalibrationError(f"{place} does not fit", why=why, hint=hint)
    array = columns.reshape(len(columns), *sizes)
    if wanted.dtype.kind == "f":
        return array.astype(wanted.dtype)
    return _whole(array)


def _whole(array: Array) -> Array:
    """Return integers where all numbers are whole."""
    whole = array.astype(np.int64)
    return whole if (whole == array).all() else array
