"""One file of samples, read by its suffix: ``.npz``, ``.npy``, ``.csv``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ...ir.errors import CalibrationError
from ...ir.feeds import Feeds
from ...ir.graph import Array
from . import archive, table
from .form import Form
from .sources import One, Placed

_PIECE = 2**24  # bytes that are looked at together


def of_file(path: Path, form: Form, samples: int | None) -> Placed:
    """Return the pieces of one file. Raises CalibrationError, BudgetError."""
    if path.suffix == ".npy":
        return Rows(path, form)
    # One file is read once: decompressing it again for every pass over the data would cost more than its arrays.
    read = {".csv": table.read}.get(path.suffix, unpacked)
    return One(f"'{path}'", read(path, form, samples))


def unpacked(path: Path, form: Form, samples: int | None = None) -> Feeds:
    """Return the arrays of an ``.npz`` file, of the first ``samples`` samples."""

    def rows(name: str, shape: tuple[int, ...]) -> int | None:
        return samples if form.divided and not form.whole(name, shape) else None

    return archive.arrays(path, lambda held: form.chosen(held, f"'{path}'"), rows)


@dataclass(frozen=True)
class Rows:
    """The array of an ``.npy`` file, a few samples at a time: it need not fit into memory."""

    path: Path
    form: Form

    def __call__(self) -> Iterator[tuple[str, Array]]:
        place, array = f"'{self.path}'", archive.mapped(self.path)
        if not array.size or self.form.whole(self.form.lone(place).name, array.shape):
            yield place, array
            return
        step = max(_PIECE * len(array) // array.nbytes, 1)
        for start in range(0, len(array), step):
            yield place, array[start : start + step]


@dataclass(frozen=True)
class Several:
    """Files that are read in order, one after the other, at every pass over the data."""

    files: tuple[Path, ...]
    form: Form
    read: Callable[[Path, Form], object]

    def __call__(self) -> Iterator[tuple[str, object]]:
        return ((f"'{file}'", self.read(file, self.form)) for file in self.files)


def whole(path: Path, form: Form) -> Array:
    """Return the array of an ``.npy`` file."""
    form.lone(f"'{path}'")
    return archive.mapped(path)


def missing(path: Path) -> CalibrationError:
    """Say that there is no such file, and what there may be."""
    hint = "give an .npz, .npy or .csv file, a folder, or script.py:function"
    return CalibrationError(f"cannot read '{path}'", why="no such file", hint=hint)
