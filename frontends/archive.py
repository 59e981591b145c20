"""Arrays of an ``.npz`` file: only those that are asked for are opened, and what one claims is checked first."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from math import prod
from pathlib import Path
from typing import IO, Any
from zipfile import ZipFile, ZipInfo

import numpy as np
from numpy.lib import format as npy

from ..ir.errors import CalibrationError, OptimiseOnnxError
from ..ir.graph import Array
from ..ir.memory import afford

_ENCRYPTED = 1
_CHUNK = 2**20
_LARGE, _RATIO = 2**28, 200  # bytes, and times its packed size, beyond which an array is no data

Check = Callable[[Collection[str]], None]


def arrays(path: Path, wanted: Collection[str], check: Check, rows: int | None = None) -> dict[str, Array]:
    """Return the arrays ``wanted`` of a file, their first ``rows`` entries; ``check`` is given all names first.

    Raises CalibrationError for a file or an array that cannot be read, BudgetError for one that takes too much memory.
    """
    if not path.is_file():
        hint = "give an .npz file, a folder or script.py:function"
        raise CalibrationError(f"cannot read '{path}'", why="no such file", hint=hint)
    try:
        with ZipFile(path) as archive:
            members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
            check(members)
            return _read(archive, {name: members[name] for name in wanted}, f"'{path}'", rows)
    except OptimiseOnnxError:
        raise
    except Exception as error:  # whatever the libraries that unpack files meet in this one
        why = "it is not an .npz file of plain arrays, or is cut short"
        raise CalibrationError(f"cannot read '{path}'", why=why, hint="write it with numpy.savez") from error


def _read(archive: ZipFile, members: Mapping[str, ZipInfo], place: str, rows: int | None) -> dict[str, Array]:
    return {name: _array(archive, info, f"array '{name}' in {place}", rows) for name, info in members.items()}


def _array(archive: ZipFile, info: ZipInfo, where: str, rows: int | None) -> Array:
    if info.flag_bits & _ENCRYPTED:
        raise CalibrationError(f"{where} is encrypted")
    with archive.open(info) as stream:
        shape, fortran, dtype = _header(stream)
        claimed, held = prod(shape) * dtype.itemsize, info.file_size - stream.tell()
        if claimed != held:
            why = f"{list(shape)} of {dtype} takes {claimed:,} bytes, it holds {held:,}"
            raise CalibrationError(f"{where} does not hold what it says", why=why)
        if claimed > max(_LARGE, _RATIO * info.compress_size):
            why = f"{info.compress_size:,} bytes unpack to {claimed:,}"
            raise CalibrationError(f"{where} is packed too tightly to be data", why=why)
        if shape and not fortran:
            shape = (min(shape[0], shape[0] if rows is None else rows), *shape[1:])
        afford(prod(shape) * dtype.itemsize, where)
        return _filled(stream, shape, dtype, fortran)


def _header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Return shape, Fortran order and dtype. Raises ValueError for what is no plain array."""
    version = npy.read_magic(stream)
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, fortran, dtype = read(stream)
    if dtype.hasobject or any(size < 0 for size in shape):
        raise ValueError("no plain array")
    return shape, fortran, dtype


def _filled(stream: IO[bytes], shape: tuple[int, ...], dtype: np.dtype[Any], fortran: bool) -> Array:
    array = np.empty(shape, dtype, order="F" if fortran else "C")
    raw = array.reshape(-1, order="A").view(np.uint8)
    place = 0
    while place < raw.size:
        part = stream.read(min(_CHUNK, raw.size - place))
        if not part:
            raise EOFError
        raw[place : place + len(part)] = np.frombuffer(part, np.uint8)
        place += len(part)
    return array
