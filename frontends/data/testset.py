"""Test sets of onnx: folders ``test_data_set_0`` with files ``input_0.pb``, as the models of the ONNX zoo have them."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from ...ir.errors import CalibrationError
from ...ir.feeds import Feeds
from ...ir.memory import afford
from .form import Form

_INPUT = re.compile(r"input_(\d+)\.pb")
_COPIES = 3  # of a tensor: as read, as parsed, and its array


def sets(path: Path) -> tuple[Path, ...]:
    """Return the folders that are test sets: this one, or those in it, in the order of their numbers."""
    if _inputs(path):
        return (path,)
    found = [each for each in path.iterdir() if each.is_dir() and _inputs(each)]
    return tuple(sorted(found, key=lambda each: (len(each.name), each.name)))


def feeds(folder: Path, form: Form) -> Feeds:
    """Return the inputs of one set: files are numbered as the model's inputs are. Raises CalibrationError."""
    files = _inputs(folder)
    names = [each.name for each in form.inputs]
    if sorted(files) != list(range(len(names))):
        why = f"it has {', '.join(file.name for file in files.values())}, the model takes {len(names)} inputs"
        raise CalibrationError(f"the test set '{folder}' is not of this model", why=why)
    if form.extra:
        raise CalibrationError(f"the test set '{folder}' holds no labels", hint="write an .npz file with them")
    return {name: _tensor(files[number]) for number, name in enumerate(names)}


def _inputs(folder: Path) -> dict[int, Path]:
    found = ((_INPUT.fullmatch(file.name), file) for file in folder.iterdir() if file.is_file())
    return {int(match[1]): file for match, file in found if match is not None}


def _tensor(path: Path) -> np.ndarray:
    afford(_COPIES * path.stat().st_size, f"'{path}'")
    try:
        return np.asarray(numpy_helper.to_array(onnx.load_tensor(path)))
    except Exception as error:  # whatever the library meets in this file
        raise CalibrationError(f"cannot read '{path}'", why="it is no tensor of onnx, or is cut short") from error
