"""Functions that a user names as ``script.py:function``."""

from __future__ import annotations

import importlib.util
import re
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from inspect import isfunction
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

from ..ir.errors import CalibrationError, OptimiseOnnxError

_LOADING = 40.0
_PATIENCE = "or say how many samples to take with --samples"
_ENDS = (signal.SIGINT, signal.SIGTERM)
_SPEC = re.compile(r"(?P<path>.+\.py)(:(?P<name>\w+))?")


def is_script(spec: str) -> bool:
    """Whether ``spec`` reads ``script.py:function``, or ``script.py``."""
    return _SPEC.fullmatch(spec) is not None


def function(spec: str) -> Callable[..., Any]:
    """Load the script and return the function, or the only one that it holds.

    Raises CalibrationError when either is missing, several could be meant, or the script fails.
    """
    match = _SPEC.fullmatch(spec)
    if match is None:
        raise CalibrationError(f"'{spec}' names no function", hint="write script.py:function")
    path, name = Path(match["path"]), match["name"]
    if not path.is_file():
        raise CalibrationError(f"cannot read '{path}'", why="no such file")
    module = _module(path)
    name = name or _only(module, path)
    found = getattr(module, name, None)
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


def _only(module: ModuleType, path: Path) -> str:
    """Name the function of a script that names none: the one that is defined in it and is not private."""
    own = [name for name, each in vars(module).items() if isfunction(each) and each.__module__ == module.__name__]
    names = [name for name in own if not name.startswith("_")]
    if len(names) != 1:
        held = f"it holds {', '.join(names)}" if names else "it holds no function"
        raise CalibrationError(f"'{path}' names no function", why=held, hint=f"write {path}:{(names or ['name'])[0]}")
    return names[0]


def _module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with guarded(f"'{path}' does not load", _LOADING):
        spec.loader.exec_module(module)
    return module


class _TooLong(BaseException):
    """Raised in a script that has run for too long: it must not pass for an error that the script may handle."""


@contextmanager
def guarded(message: str, seconds: float | None = None) -> Iterator[None]:
    """Run a user's code: whatever it raises becomes a CalibrationError with this message, attempts to exit too.

    So does running for more than ``seconds``, on the main thread. A signal of the user is passed on.
    """
    with _watched(seconds) as signalled:
        try:
            yield
        except OptimiseOnnxError:
            raise
        except _TooLong as error:
            raise CalibrationError(message, why=f"it ran for more than {seconds:.0f} s", hint=_PATIENCE) from error
        except BaseException as error:
            if signalled:
                raise
            raise CalibrationError(message, why=said(error)) from error


@contextmanager
def _watched(seconds: float | None) -> Iterator[list[int]]:
    """Yield a list that fills with the signals that reach us; after ``seconds``, :class:`_TooLong` is raised."""
    signalled: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield signalled
        return
    known = {int(kind): signal.getsignal(kind) for kind in _ENDS}
    before = {kind: handler for kind, handler in known.items() if callable(handler)}

    def passed_on(kind: int, frame: FrameType | None) -> None:
        signalled.append(kind)
        before[kind](kind, frame)

    def late(_kind: int, _frame: FrameType | None) -> None:
        raise _TooLong

    for kind in before:
        signal.signal(kind, passed_on)
    alarm = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds or 0)
    try:
        yield signalled
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, alarm)
        for kind, handler in before.items():
            signal.signal(kind, handler)


def said(error: BaseException) -> str:
    """Put an exception in one line: its type and the first line of its text."""
    lines = str(error).splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
