"""Processes on this machine."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from ...ir.scratch import scratch
from ...ir.workers import Workers
from ..cores import stay_on
from ..memory import keep_freed
from .pool import Pooled
from .task import Blob, Stored


@contextmanager
def processes(count: int) -> Iterator[Workers]:
    """Start ``count`` processes, when there is something to do, and end them with the block, or with this process."""
    with ExitStack() as stack:
        yield Pooled(_Processes(count, stack))


class _Processes:
    """What workers hold lies in files, named by their hashes."""

    said = "processes"
    lost: tuple[type[BaseException], ...] = (BrokenProcessPool,)

    def __init__(self, count: int, stack: ExitStack) -> None:
        self._count, self._stack = count, stack
        self._context = multiprocessing.get_context("spawn")  # a forked onnxruntime has no threads
        self._pool: ProcessPoolExecutor | None = None
        self._end: Connection | None = None
        self._folder: Path | None = None
        stack.callback(self.renew)

    @property
    def boards(self) -> None:
        """No process has one of its own."""

    def executor(self) -> Executor:
        """Return the pool."""
        if self._pool is None:
            heard, self._end = self._context.Pipe(duplex=False)
            told = heard, self._context.Value("i", 0), self._count
            self._pool = ProcessPoolExecutor(self._count, self._context, _began, told)
        return self._pool

    def part(self, value: Any) -> Stored:
        """Write a value to its file, unless it is there."""
        if self._folder is None:
            self._folder = self._stack.enter_context(scratch())
        blob = Blob.of(value)
        path = self._folder / blob.digest
        if not path.exists():
            path.write_bytes(blob.data)
        return Stored(blob.digest, path)

    def renew(self) -> None:
        """End the processes, whatever they do; others are started when they are needed."""
        if self._pool is None or self._end is None:
            return
        self._end.close()
        self._pool.shutdown(cancel_futures=True)
        self._pool = None


def _began(heard: Connection, numbers: Any, count: int) -> None:
    """Give a worker its share of the cores, and let it end with the process that has started it, and only with that."""
    with numbers.get_lock():
        stay_on(numbers.value, count)
        numbers.value += 1
    for name in ("SIGINT", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    keep_freed()
    threading.Thread(target=_ends_with, args=(heard,), daemon=True).start()


def _ends_with(heard: Connection) -> None:
    try:
        heard.recv()
    except (EOFError, OSError):
        os._exit(1)
