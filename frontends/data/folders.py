"""A folder of samples, by what lies in it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ...ir.errors import CalibrationError
from .files import Several, unpacked, whole
from .form import Form
from .images import images_in, of_images
from .preprocess import Preprocess
from .sources import Placed
from .testset import feeds, sets

_READERS: dict[str, Callable[[Path, Form], object]] = {".npz": unpacked, ".npy": whole}


def of_folder(path: Path, form: Form, preprocess: Preprocess | None) -> Placed:
    """Return the pieces of the files in a folder, in the order of their names. Raises CalibrationError."""
    for suffix, read in _READERS.items():
        files = sorted(file for file in path.iterdir() if file.suffix == suffix)
        if files:
            return Several(tuple(files), form, read)
    found = sets(path)
    if found:
        return Several(found, form, feeds)
    images = images_in(path)
    if images:
        return of_images(path, images, form, preprocess)
    why = "no .npz or .npy file, no test set of onnx, no image"
    raise CalibrationError(f"no samples lie in '{path}'", why=why, hint="docs/data.md lists the forms that are read")
