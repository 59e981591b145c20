"""Which labels lie with samples, and which files beside a model may be samples: what nobody has to be asked."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ...ir.graph import Array
from . import archive, table
from .form import Form
from .images import FOLDER, images_in

_FILES = (".npz", ".npy", ".csv")
_COLUMNS = {"label", "labels", "class", "target", "y"}


def beside(model: Path) -> list[Path]:
    """Return what may be samples in the folder of a model: files first, then folders that are not hidden, by name."""
    there = sorted(each for each in model.absolute().parent.iterdir() if not each.name.startswith("."))
    files = [each for each in there if each.suffix in _FILES and each.is_file()]
    return [*files, *(each for each in there if each.is_dir())]


def labels(path: Path, form: Form, classes: int | None) -> str | None:
    """Return the name of the labels that lie with samples; None where there are none, or several may be meant.

    Labels are whole numbers along one axis in an ``.npz`` file, a column called label, class, target or y in a table,
    or folders of images, as many as the model has ``classes``. Raises CalibrationError for a file that is broken.
    """
    if path.is_dir():
        archives = sorted(path.glob("*.npz"))
        return _of_archive(archives[0], form) if archives else _of_folders(path, classes)
    if path.suffix == ".csv":
        return _lone([name for name in table.header(path)[1] if name.lower() in _COLUMNS], form)
    return _of_archive(path, form) if path.suffix == ".npz" else None


def is_images(path: Path) -> bool:
    """Whether a folder holds images and no arrays."""
    return path.is_dir() and not any(path.glob("*.np[yz]")) and bool(images_in(path))


def _of_archive(path: Path, form: Form) -> str | None:
    first: Mapping[str, Array] = archive.arrays(path, lambda held: {name: name for name in held}, lambda *_: 1)
    if len(first) == 1:
        return None
    return _lone([name for name, array in first.items() if array.ndim == 1 and array.dtype.kind in "iu"], form)


def _of_folders(path: Path, classes: int | None) -> str | None:
    folders = {file.relative_to(path).parts[0] for file in images_in(path) if file.parent != path}
    return FOLDER if classes is not None and len(folders) == classes > 1 else None


def _lone(names: list[str], form: Form) -> str | None:
    own = {each.name for each in form.inputs}
    found = [name for name in names if name not in own]
    return found[0] if len(found) == 1 else None
