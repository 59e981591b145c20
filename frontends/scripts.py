"""Functions that a user names as ``script.py:function``."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..ir.errors import CalibrationError

_SPEC = re.compile(r"(?P<path>.+\.py):(?P<name>\w+)")


def is_script(spec: str) -> bool:
    """Whether ``spec`` reads ``script.py:function``."""
    return _SPEC.fullmatch(spec) is not None


def function(spec: str) -> Callable[..., Any]:
    """Load the script and return the function. Raises CalibrationError when either is missing or the script fails."""
    match = _SPEC.fullmatch(spec)
    if match is None:
        raise CalibrationError(f"'{spec}' names no function", hint="write script.py:function")
    path, name = Path(match["path"]), match["name"]
    if not path.is_file():
        raise CalibrationError(f"cannot read '{path}'", why="no such file")
    found = getattr(_module(path), name, None)
    if not callable(found):
        raise CalibrationError(f"'{path}' has no function '{name}'")
    called: Callable[..., Any] = found
    return called


def metric(spec: str) -> Callable[..., Any]:
    """Return the metric ``script.py:function``.

    It is called as ``function(outputs, batch)`` with the model's outputs and the batch they come from, labels
    included, both dicts of arrays with samples first; it returns the mean over the batch, a number. Raises
    CalibrationError as :func:`function` does.
    """
    return function(spec)


def _module(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise CalibrationError(f"'{path}' does not load", why=said(error)) from error
    return module


def said(error: Exception) -> str:
    """Put an exception in one line: its type and the first line of its text."""
    lines = str(error).splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
