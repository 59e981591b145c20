"""Output files: checked before any work is done, then written whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from ..ir.errors import UsageError


def check_output(path: Path, inputs: Iterable[str | Path] = ()) -> None:
    """Raise UsageError when ``path`` is one of the inputs, also through a link, or its folder cannot be written to."""
    for source in inputs:
        if _same(path, Path(source)):
            raise UsageError(f"the output '{path}' is the input '{source}'", hint="choose another name")
    if path.is_dir():
        raise UsageError(f"the output '{path}' is a folder", hint="add a file name")
    if not path.parent.is_dir():
        raise UsageError(f"the folder of '{path}' does not exist")
    try:
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise UsageError(f"cannot write into the folder of '{path}'", why=error.strerror or str(error)) from error


def make_folder(path: Path) -> None:
    """Make a folder unless it is there. Raises UsageError."""
    try:
        path.mkdir(exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot make the folder '{path}'", why=error.strerror or str(error)) from error


def write(path: Path, data: bytes) -> None:
    """Write a file under a temporary name in its folder and rename it. Raises UsageError, leaving nothing behind."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(data)
        part.replace(path)
    except OSError as error:
        raise UsageError(f"cannot write '{path}'", why=error.strerror or str(error)) from error
    finally:
        part.unlink(missing_ok=True)


def _same(path: Path, source: Path) -> bool:
    if path.exists() and source.exists():
        return path.samefile(source)
    return path.resolve() == source.resolve()
