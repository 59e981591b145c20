"""Weights that stay in files: mapped, so that they take memory where they are touched, and give it back when asked.

Files that change while they are mapped are noticed, and no longer taken for what they were.
"""

from __future__ import annotations

import gc
import mmap
import os
import tempfile
import weakref
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
import onnx.helper

from .errors import InvalidModelError
from .handles import Array
from .scratch import scratch

LEAST = 2**14  # bytes of a weight that is mapped: more than what says something of shapes
WORTH = 2**26  # bytes of weights of a model from which on they are mapped
_SPILLED = 2**20  # bytes of an array that is put into a file
_COLLECTED = 2**31  # bytes that are written until files that nobody can reach are looked for

_Stamp = tuple[int, int, int, int]
_known: dict[str, _Stamp] = {}
_maps: weakref.WeakValueDictionary[str, np.memmap] = weakref.WeakValueDictionary()


class Place(NamedTuple):
    """Where an array lies in a file: the absolute path, and the byte that it begins at."""

    path: str
    offset: int


def map_file(path: Path) -> Array:
    """Map a file: (bytes,) uint8, not to be written to. Raises OSError."""
    real = os.path.realpath(path)
    _known[real] = _stamp(real)
    _maps[real] = found = np.memmap(real, np.uint8, mode="r")
    return found


def lay_out(tensor: onnx.TensorProto, path: Path, offset: int, size: int) -> None:
    """Let a tensor of a model stand for bytes of a file that was mapped."""
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    del tensor.external_data[:]
    for key, value in (("location", os.path.realpath(path)), ("offset", str(offset)), ("length", str(size))):
        tensor.external_data.add(key=key, value=value)


def is_mapped(tensor: onnx.TensorProto) -> bool:
    """Whether a tensor stands for bytes of a mapped file."""
    return tensor.data_location == onnx.TensorProto.EXTERNAL and _said(tensor).get("location") in _known


def size_of(tensor: onnx.TensorProto) -> int:
    """Return how many bytes of its file a mapped tensor stands for."""
    return int(_said(tensor)["length"])


def values(tensor: onnx.TensorProto) -> Array:
    """Return the array that a mapped tensor stands for. Raises InvalidModelError where its file has changed."""
    said = _said(tensor)
    real, begin = said["location"], int(said["offset"])
    if _stamp(real) != _known[real]:
        raise InvalidModelError(f"'{real}' changed while it was read", hint="run it again")
    whole = _maps.get(real)
    if whole is None:
        whole = _maps.setdefault(real, np.memmap(real, np.uint8, mode="r"))
    dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)
    return np.asarray(whole[begin : begin + int(said["length"])]).view(dtype).reshape(tuple(tensor.dims))


def place_of(array: Array) -> Place | None:
    """Return where an array lies that is mapped as a whole; None for one in memory, or of a file that has changed."""
    root = _root(array)
    if not isinstance(root, np.memmap) or os.sep != "/" or not array.flags.c_contiguous:
        return None
    real = str(root.filename)
    if real not in _known or _stamp(real) != _known[real]:
        return None
    return Place(real, array.ctypes.data - root.ctypes.data)


def give_back() -> None:
    """Let the system have the memory that models' mapped files take; they are read anew where they are touched."""
    let_go(list(_maps.values()))


def let_go(arrays: Iterable[Array]) -> None:
    """Let the system have the memory of those arrays that are maps of files, to be read anew where they are touched."""
    for array in arrays:
        root = _root(array)
        if isinstance(root, np.memmap) and root.mode == "r" and hasattr(mmap, "MADV_DONTNEED"):
            file = root.base
            if isinstance(file, mmap.mmap):
                file.madvise(mmap.MADV_DONTNEED)


def spilled(array: Array) -> Array:
    """Return a large array as one that lies in a temporary file, which goes with it; a small one as it is."""
    if array.nbytes < _SPILLED or array.dtype.hasobject or place_of(array) is not None:
        return array
    return _folder().put(np.ascontiguousarray(array))


class _Folder:
    """Temporary files of one process."""

    def __init__(self) -> None:
        self.owner, self._written = os.getpid(), 0
        self._holder = scratch()
        self._place = self._holder.__enter__()
        weakref.finalize(self, self._holder.__exit__, None, None, None)

    def put(self, array: Array) -> Array:
        """Write an array and map it. Raises OSError."""
        self._written += array.nbytes
        if self._written > _COLLECTED:
            gc.collect()  # graphs hold themselves, and so their files
            self._written = 0
        number, name = tempfile.mkstemp(dir=self._place)
        with os.fdopen(number, "wb") as file:
            file.write(array.reshape(-1).view(np.uint8).data)
        whole = map_file(Path(name))
        weakref.finalize(whole, _forget, os.path.realpath(name))
        return np.asarray(whole).view(array.dtype).reshape(array.shape)


_folders: list[_Folder] = []


def _folder() -> _Folder:
    if not _folders or _folders[-1].owner != os.getpid():
        _folders[:] = [_Folder()]
    return _folders[-1]


def _forget(real: str) -> None:
    _known.pop(real, None)
    Path(real).unlink(missing_ok=True)


def _root(array: Array) -> Array:
    """Return the array that an array is a view of."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def _said(tensor: onnx.TensorProto) -> dict[str, str]:
    return {entry.key: entry.value for entry in tensor.external_data}


def _stamp(real: str) -> _Stamp:
    try:
        known = Path(real).stat()
    except OSError:
        return (0, 0, 0, 0)
    return (known.st_dev, known.st_ino, known.st_size, known.st_mtime_ns)
