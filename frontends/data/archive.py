"""Arrays of ``.npz`` and ``.npy`` files: only those that are asked for are opened, what one claims is checked first."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import partial
from math import prod
from pathlib import Path
from typing import IO, Any
from zipfile import ZipFile, ZipInfo

import numpy as np
from numpy.lib import format as npy

from ...ir.errors import CalibrationError, OptimiseOnnxError
from ...ir.graph import Array
from ...ir.memory import afford

_ENCRYPTED = 1
_CHUNK = 2**20
_LARGE, _RATIO = 2**28, 200  # bytes, and times its packed size, beyond which an array is no data

Choose = Callable[[Collection[str]], Mapping[str, str]]
Rows = Callable[[str, tuple[int, ...]], int | None]


def arrays(path: Path, choose: Choose, rows: Rows = lambda _name, _shape: None) -> dict[str, Array]:
    """Return arrays of an ``.npz`` file by the names wanted.

    ``choose`` is given the names of all and returns those wanted, each with its name in the file; ``rows`` says of how
    many entries to read the first, by name and shape, None for all. Raises CalibrationError for a file or an
    array that cannot be read, BudgetError for one that takes too much memory.
    """
    try:
        with ZipFile(path) as archive:
            members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
            return {
                name: _array(archive, members[key], f"array '{key}' in '{path}'", partial(rows, name))
                for name, key in choose(members).items()
            }
    except OptimiseOnnxError:
        raise
    except Exception as error:  # whatever the libraries that unpack files meet in this one
        why = "it is not an .npz file of plain arrays, or is cut short"
        raise CalibrationError(f"cannot read '{path}'", why=why, hint="write it with numpy.savez") from error


def mapped(path: Path) -> Array:
    """Return the array of an ``.npy`` file; what is not looked at is not read. Raises CalibrationError."""
    try:
        with path.open("rb") as stream:
            shape, _, dtype = _header(stream)
            _check_size(shape, dtype, path.stat().st_size - stream.tell(), f"'{path}'")
        return np.load(path, mmap_mode="r") if prod(shape) else np.empty(shape, dtype)
    except OptimiseOnnxError:
        raise
    except Exception as error:
        why = "it is not an .npy file of a plain array, or is cut short"
        raise CalibrationError(f"cannot read '{path}'", why=why, hint="write it with numpy.save") from error


def _array(archive: ZipFile, info: ZipInfo, where: str, rows: Callable[[tuple[int, ...]], int | None]) -> Array:
    if info.flag_bits & _ENCRYPTED:
        raise CalibrationError(f"{where} is encrypted")
    with archive.open(info) as stream:
        shape, fortran, dtype = _header(stream)
        claimed = _check_size(shape, dtype, info.file_size - stream.tell(), where)
        if claimed > max(_LARGE, _RATIO * info.compress_size):
            why = f"{info.compress_size:,} bytes unpack to {claimed:,}"
            raise CalibrationError(f"{where} is packed too tightly to be data", why=why)
        most = rows(shape) if shape and not fortran else None
        if most is not None:
            shape = (min(shape[0], most), *shape[1:])
        afford(prod(shape) * dtype.itemsize, where)
        return _filled(stream, shape, dtype, fortran)


def _check_size(shape: tuple[int, ...], dtype: np.dtype[Any], held: int, where: str) -> int:
    """Return the bytes that an array claims to take. Raises CalibrationError unless it holds as many."""
    claimed = prod(shape) * dtype.itemsize
    if claimed != held:
        why = f"{list(shape)} of {dtype} takes {claimed:,} bytes, it holds {held:,}"
        raise CalibrationError(f"{where} does not hold what it says", why=why)
    return claimed


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
