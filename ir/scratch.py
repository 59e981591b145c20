"""Folders for temporary files. What a run leaves that is killed, the next one removes."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

if sys.platform != "win32":
    import fcntl

_PREFIX = "optimise-onnx-scratch-"
_YOUNG = 60.0  # seconds in which a folder may not be locked yet


@contextmanager
def scratch() -> Iterator[Path]:
    """Make a folder that goes when the block ends. Raises OSError where there is no place for one."""
    _sweep(Path(tempfile.gettempdir()))
    with tempfile.TemporaryDirectory(prefix=_PREFIX, ignore_cleanup_errors=True) as name:
        lock = _lock(Path(name))
        try:
            yield Path(name)
        finally:
            _release(lock)


@cache
def _sweep(place: Path) -> None:
    """Remove the folders of this user that nobody holds any more, once."""
    if sys.platform == "win32":
        return
    for folder in place.glob(f"{_PREFIX}*"):
        with suppress(OSError):
            known = folder.lstat()
            if known.st_uid == os.geteuid() and time.time() - known.st_mtime > _YOUNG:
                _release(_lock(folder))
                shutil.rmtree(folder, ignore_errors=True)


def _lock(folder: Path) -> int:
    """Hold a folder until the process ends, however it does. Raises OSError where another holds it."""
    if sys.platform == "win32":
        return -1
    held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(held)
        raise
    return held


def _release(lock: int) -> None:
    if lock >= 0:
        os.close(lock)
