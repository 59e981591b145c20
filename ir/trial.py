"""Calls of libraries that cannot be bounded: tried in a child of this process first, which may fail in our stead."""

from __future__ import annotations

import os
import resource
import signal
import warnings
from collections.abc import Callable
from time import monotonic, sleep

from .memory import data

_STEP = 0.002


def bearable(work: Callable[[], object], seconds: float, memory: int) -> bool:
    """Whether ``work`` ends within ``seconds`` and ``memory`` bytes more than are held; its own errors are no matter.

    It must neither need threads nor leave anything behind. True where processes cannot be forked.
    """
    if not hasattr(os, "fork"):
        return True
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that threads are not forked, which the work does not need
        child = os.fork()
    if not child:
        _attempt(work, memory)
    return _ended_well(child, monotonic() + seconds)


def _attempt(work: Callable[[], object], memory: int) -> None:
    """Do the work and end the process: with 1 when memory was short."""
    code = 0
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # a library that gives up says so there
        hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
        most = data() + memory
        resource.setrlimit(resource.RLIMIT_DATA, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))
        work()
    except MemoryError:
        code = 1
    except BaseException:
        code = 0
    finally:
        os._exit(code)


def _ended_well(child: int, end: float) -> bool:
    try:
        while monotonic() < end:
            pid, status = os.waitpid(child, os.WNOHANG)
            if pid:
                child = 0
                return status == 0
            sleep(_STEP)
        return False
    finally:
        if child:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
