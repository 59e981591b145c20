"""What is dear to compute, kept on disk under a hash of everything that it depends on: a few arrays an entry.

An entry is one file: the SHA-256 of its key and of the rest, then a NumPy archive.
"""

import hashlib
import io
import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from stat import S_ISREG
from typing import ClassVar, Protocol

import numpy as np

from ..ir.cache_folder import default_folder, notice
from ..ir.graph import Array
from ..ir.memory import amount
from ..ir.writing import write_whole

LIMIT = 2**31
_CHECKSUM = hashlib.sha256().digest_size
_PARTS = {".part", ".tmp"}  # the second: of earlier versions
_ABANDONED = 3600.0  # seconds after which a temporary file has no writer any more


class Cache(Protocol):
    """Keeps arrays by key, for later runs where it is ``lasting``."""

    lasting: ClassVar[bool]

    def load(self, key: str) -> dict[str, Array] | None:
        """Return what was saved under a key, or None."""

    def save(self, key: str, arrays: Mapping[str, Array]) -> None:
        """Keep arrays for later runs; they may be dropped at any time."""


@dataclass(frozen=True)
class MemoryCache:
    """Keeps arrays for one run, which may ask for the same more than once."""

    kept: dict[str, dict[str, Array]] = field(default_factory=dict)
    lasting: ClassVar[bool] = False

    def load(self, key: str) -> dict[str, Array] | None:
        """Return what was saved under a key, or None."""
        return self.kept.get(key)

    def save(self, key: str, arrays: Mapping[str, Array]) -> None:
        """Keep arrays."""
        self.kept[key] = dict(arrays)


@dataclass(frozen=True)
class TeeCache:
    """A cache of which ``copy`` gets all that is asked for or saved."""

    cache: Cache
    copy: Cache
    lasting: ClassVar[bool] = False

    def load(self, key: str) -> dict[str, Array] | None:
        """Return what was saved under a key, or None."""
        found = self.cache.load(key)
        if found is not None:
            self.copy.save(key, found)
        return found

    def save(self, key: str, arrays: Mapping[str, Array]) -> None:
        """Keep arrays in both."""
        self.cache.save(key, arrays)
        self.copy.save(key, arrays)


@dataclass(frozen=True)
class DiskCache:
    """One file an entry; above ``limit`` bytes what was not used for longest goes. Several processes may share it.

    A cache never fails a run: an entry that cannot be read or written is reported to ``notice`` and left out.
    """

    folder: Path
    limit: int = LIMIT
    notice: Callable[[str], None] = notice
    lasting: ClassVar[bool] = True

    @staticmethod
    def at(place: str | Path | None, notice: Callable[[str], None] = notice, limit: str | int | None = None) -> "Cache":
        """Return the cache in a folder, by default the user's: ``OPTIMISE_ONNX_CACHE``, else the platform's place.

        ``limit`` is in bytes, or a text like ``2GB``. For a user without a home folder it is one for this run. Raises
        UsageError for a text that is no amount.
        """
        folder = default_folder() if place is None else Path(place)
        if folder is None:
            notice("there is no home folder, so measurements are not kept; OPTIMISE_ONNX_CACHE can name a folder")
            return MemoryCache()
        return DiskCache(folder, LIMIT if limit is None else amount(limit), notice)

    def load(self, key: str) -> dict[str, Array] | None:
        """Return what was saved under a key, or None; a damaged entry is removed."""
        path = self._path(key)
        try:
            known = path.stat()
            entry = path.read_bytes() if S_ISREG(known.st_mode) and known.st_size <= self.limit else b""
        except FileNotFoundError:
            return None
        except OSError as error:
            self.notice(f"the cache entry {path} cannot be read and is computed anew: {error}")
            return None
        arrays = _read(entry, key)
        if arrays is None:
            self.notice(f"the cache entry {path} is damaged and is computed anew")
            self._remove(path)
            return None
        with suppress(OSError):
            os.utime(path)
        return arrays

    def save(self, key: str, arrays: Mapping[str, Array]) -> None:
        """Write an entry, so that no reader sees half of it."""
        content = io.BytesIO()
        np.savez(content, np.array(list(arrays), np.str_), *arrays.values())
        entry = content.getvalue()
        if len(entry) > self.limit:
            self.notice(f"{len(entry)} bytes are more than the cache in {self.folder} may hold, so they are not kept")
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_whole(self._path(key), _checksum(entry, key) + entry)
            self._shrink()
        except OSError as error:
            self.notice(f"the cache in {self.folder} cannot be written: {error}")

    def sizes(self) -> list[int]:
        """List the bytes of all entries, those first that were not used for longest."""
        return [size for _, size, _ in sorted(_files(self.folder))] if self.folder.is_dir() else []

    def clear(self) -> None:
        """Remove all entries; nothing else in the folder."""
        for _, _, path in _files(self.folder) if self.folder.is_dir() else ():
            self._remove(path)

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.entry"

    def _shrink(self) -> None:
        """Remove what was not used for longest, files that an interrupted run has left among it."""
        entries = sorted(_files(self.folder))
        excess = sum(size for _, size, _ in entries) - self.limit
        for _, size, path in entries:
            if excess <= 0:
                return
            self._remove(path)
            excess -= size

    def _remove(self, path: Path) -> None:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            self.notice(f"{path} cannot be removed: {error}")


def _checksum(entry: bytes, key: str) -> bytes:
    return hashlib.sha256(key.encode() + entry).digest()


def _read(content: bytes, key: str) -> dict[str, Array] | None:
    """Return the arrays of an entry; None where it is not what was saved under its key."""
    entry = content[_CHECKSUM:]
    if _checksum(entry, key) != content[:_CHECKSUM]:
        return None
    with np.load(io.BytesIO(entry), allow_pickle=False) as stored:
        return {name: stored[f"arr_{place}"] for place, name in enumerate(stored["arr_0"].tolist(), 1)}


def _files(folder: Path) -> list[tuple[float, int, Path]]:
    """List entries by when they were last used, with their size in bytes."""
    found = []
    for path in folder.iterdir():
        with suppress(FileNotFoundError):  # another process may remove it meanwhile
            known = path.stat()
            if path.suffix == ".entry" or (path.suffix in _PARTS and time.time() - known.st_mtime > _ABANDONED):
                found.append((known.st_mtime, known.st_size, path))
    return found
