"""The process of a command: signals end it tidily, and what libraries say is kept from the user."""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any

from ..ir.cache_folder import CacheWarning

if TYPE_CHECKING:
    from .terminal import Terminal

INTERRUPTED = 130

_ENDING = ("SIGINT", "SIGTERM", "SIGHUP")
_SAME = 1.0  # seconds in which a signal that comes again is the same one
_SOON = 0.01
_STANDARD, _ERRORS = range(3), 2  # the system's numbers of standard streams


class Ending:
    """Turns signals that end a process into KeyboardInterrupt, so that all that is open is closed on the way out."""

    def __init__(self) -> None:
        self.asked = False
        self._last = -_SAME

    def install(self) -> None:
        """Take over the signals, but for those that the process was told to ignore."""
        for name in _ENDING:
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._end)
        sys.unraisablehook = self._lost

    def forget(self) -> None:
        """Ignore the signals from now on: all is done.

        Python would still end by SIGINT where an interrupt has left a text that it ran; the next text makes it forget.
        """
        for name in _ENDING:
            if hasattr(signal, name):
                signal.signal(getattr(signal, name), signal.SIG_IGN)
        exec("")

    def _end(self, _number: int, _frame: FrameType | None) -> None:
        now = time.monotonic()
        again, self._last, self.asked = now - self._last < _SAME, now, True
        if not again:
            raise KeyboardInterrupt

    def _lost(self, lost: Any) -> None:
        """Interrupt again where that came at a moment in which Python drops exceptions, as when it frees an object."""
        if self.asked and isinstance(lost.exc_value, KeyboardInterrupt) and hasattr(signal, "setitimer"):
            self._last = -_SAME
            signal.signal(signal.SIGALRM, self._end)
            signal.setitimer(signal.ITIMER_REAL, _SOON)


class StandardError:
    """Keeps what libraries write past Python from the user's standard error, until it is asked for."""

    def __init__(self) -> None:
        self._user = -1

    def claim(self) -> None:
        """Let the system's standard error lead nowhere, and Python's own go another way to the user."""
        self._user, nowhere = os.dup(_ERRORS), os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, _ERRORS)
        os.close(nowhere)
        sys.stderr = open(self._user, "w", 1, sys.stderr.encoding, closefd=False)  # noqa: PTH123, SIM115

    def share(self) -> None:
        """Let libraries write to the user again."""
        if self._user >= 0:
            os.dup2(self._user, _ERRORS)


ENDING, STANDARD_ERROR = Ending(), StandardError()


def own_streams() -> None:
    """Have all standard streams, lest a file takes the number of one, and let no character fail to be printed."""
    for number in _STANDARD:
        try:
            os.fstat(number)
        except OSError:  # it is closed, so this is the number that the next file gets
            os.open(os.devnull, os.O_RDWR)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name) or open(os.devnull, "w")  # noqa: PTH123, SIM115
        stream.reconfigure(errors="backslashreplace")
        setattr(sys, name, stream)
    STANDARD_ERROR.claim()
    sys.stderr.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]


@contextmanager
def hushed(terminal: Terminal) -> Iterator[None]:
    """Keep warnings and logs of libraries from the user, unless debugging. What the cache says is a note."""
    shown, level = warnings.showwarning, logging.root.manager.disable

    def show(message: Warning | str, category: type[Warning], *where: Any, **how: Any) -> None:
        if issubclass(category, CacheWarning):
            terminal.note(str(message))
        elif terminal.debugging:
            shown(message, category, *where, **how)

    with warnings.catch_warnings():
        warnings.simplefilter("default")
        warnings.showwarning = show
        logging.disable(logging.CRITICAL)
        try:
            yield
        finally:
            logging.disable(level)


def heard() -> None:
    """Let libraries say what they like, for debugging."""
    from ..backends.ort.environment import talk

    STANDARD_ERROR.share()
    logging.disable(logging.NOTSET)
    talk()
