"""Where large arrays wait: in memory up to a limit, beyond it in files of a temporary folder."""

import weakref
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ....ir.errors import UsageError
from ....ir.graph import Array
from ....ir.scratch import scratch


@dataclass(frozen=True)
class Shelved:
    """One array on a shelf: itself, or where it lies on disk."""

    bytes: int
    dtype: np.dtype[Any]
    place: Array | Path


class Shelf:
    """Holds arrays, of which at most ``limit`` bytes in memory. The files go when the shelf is closed or forgotten."""

    def __init__(self, limit: int) -> None:
        self._free = limit
        self._files = 0
        self._folder: Path | None = None
        self._removal: weakref.finalize[..., Shelf] | None = None

    def put(self, array: Array) -> Shelved:
        """Keep an array, which must not be changed from now on. Raises UsageError when the disk is full."""
        if array.nbytes <= self._free:
            self._free -= array.nbytes
            return Shelved(array.nbytes, array.dtype, array)
        try:
            return Shelved(array.nbytes, array.dtype, self._written(array))
        except OSError as error:
            why, hint = error.strerror or str(error), "TMPDIR can name another folder, and fewer samples need less"
            raise UsageError("temporary files cannot be written", why=why, hint=hint) from error

    def _written(self, array: Array) -> Path:
        if self._folder is None:
            opened = ExitStack()
            self._folder = opened.enter_context(scratch())
            self._removal = weakref.finalize(self, opened.close)
        self._files += 1
        path = self._folder / f"{self._files}.npy"
        np.save(path, array)
        return path

    def get(self, item: Shelved) -> Array:
        """Return an array; one on disk is mapped, and takes memory only as long as it is used."""
        if not isinstance(item.place, Path):
            return item.place
        mapped = np.asarray(np.load(item.place, mmap_mode="r"))
        return mapped.view(item.dtype)  # the file format knows no bfloat16

    def drop(self, item: Shelved) -> None:
        """Forget an array."""
        if isinstance(item.place, Path):
            item.place.unlink()
        else:
            self._free += item.bytes

    def close(self) -> None:
        """Remove the files."""
        if self._removal is not None:
            self._removal()
