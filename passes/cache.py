"""What is dear to compute, kept on disk under a hash of everything that it depends on: few small arrays an entry.

An entry is one file: the SHA-256 of the rest, then a NumPy archive.
"""

import hashlib
import io
import os
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

from ..ir.cache_folder import default_folder
from ..ir.graph import Array

LIMIT = 2**30
_CHECKSUM = hashlib.sha256().digest_size
_ABANDONED = 3600.0  # seconds after which a temporary file has no writer any more


class Cache(Protocol):
    """Keeps arrays by key."""

    def load(self, key: str) -> dict[str, Array] | None:
        """Return what was saved under a key, or None."""

    def save(self, key: str, arrays: Mapping[str, Array]) -> None:
        """Keep arrays for later runs; they may be dropped at any time."""


@dataclass(frozen=True)
class MemoryCache:
    """Keeps arrays for one run, which may ask for the same more than once."""

    kept: dict[str, dict[str, Array]] = field(default_factory=dict)

    def load(self, key: str) -> dict[str, Array] | None:
        """Return what was saved under a key, or None."""
        return self.kept.get(key)

    def save(self, key: str, arrays: Mapping[str, Array]) -> None:
        """Keep arrays."""
        self.kept[key] = dict(arrays)


def _warn(text: str) -> None:
    warnings.warn(text, stacklevel=4)


@dataclass(frozen=True)
class DiskCache:
    """One file an entry; above ``limit`` bytes what was not used for longest goes. Several processes may share it.

    A cache never fails a run: an entry that cannot be read or written is reported to ``notice`` and left out.
    """

    folder: Path
    limit: int = LIMIT
    notice: Callable[[str], None] = _warn

    @staticmethod
    def default(notice: Callable[[str], None] = _warn) -> "DiskCache":
        """Return the user's cache: the folder in ``OPTIMISE_ONNX_CACHE``, else the platform's place for caches."""
        return DiskCache(default_folder(), notice=notice)

    def load(self, key: str) -> dict[str, Array] | None:
        """Return what was saved under a key, or None; a damaged entry is removed."""
        path = self._path(key)
        try:
            entry = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            self.notice(f"the cache entry {path} cannot be read and is computed anew: {error}")
            return None
        if hashlib.sha256(entry[_CHECKSUM:]).digest() != entry[:_CHECKSUM]:
            self.notice(f"the cache entry {path} is damaged and is computed anew")
            self._remove(path)
            return None
        with suppress(OSError):
            os.utime(path)
        with np.load(io.BytesIO(entry[_CHECKSUM:]), allow_pickle=False) as stored:
            return {name: stored[f"arr_{place}"] for place, name in enumerate(stored["arr_0"].tolist(), 1)}

    def save(self, key: str, arrays: Mapping[str, Array]) -> None:
        """Write an entry under a temporary name and rename it, so that no reader sees half of it."""
        content = io.BytesIO()
        np.savez(content, np.array(list(arrays), np.str_), *arrays.values())
        entry = content.getvalue()
        temporary = None
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=self.folder, suffix=".tmp", delete=False) as file:
                temporary = Path(file.name)
                file.write(hashlib.sha256(entry).digest() + entry)
            temporary.replace(self._path(key))
            self._shrink()
        except OSError as error:
            self.notice(f"the cache in {self.folder} cannot be written: {error}")
            if temporary is not None:
                self._remove(temporary)

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


def _files(folder: Path) -> list[tuple[float, int, Path]]:
    """List entries by when they were last used, with their size in bytes."""
    found = []
    for path in folder.iterdir():
        with suppress(FileNotFoundError):  # another process may remove it meanwhile
            known = path.stat()
            if path.suffix == ".entry" or (path.suffix == ".tmp" and time.time() - known.st_mtime > _ABANDONED):
                found.append((known.st_mtime, known.st_size, path))
    return found
