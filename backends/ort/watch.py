"""A watch over one run of onnxruntime, which ends it between two nodes: loops may go on for ever."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

import onnxruntime

from ...ir.errors import BudgetError
from ...ir.memory import limit, resident
from ...ir.quantity import scaled

_STEP = 0.02


@contextmanager
def watched(seconds: float) -> Iterator[onnxruntime.RunOptions]:
    """Yield options for a run within the block. Raises BudgetError when it takes more time, or more memory than may be.

    Memory is what the process takes more than at the start.
    """
    options, done, reasons = onnxruntime.RunOptions(), threading.Event(), list[str]()
    watcher = threading.Thread(target=_watch, args=(options, done, seconds, reasons), daemon=True)
    watcher.start()
    try:
        yield options
    except Exception as error:
        if reasons:
            raise BudgetError("a run of the model does not end", why=reasons[0]) from error
        raise
    finally:
        done.set()
        watcher.join()


def _watch(options: onnxruntime.RunOptions, done: threading.Event, seconds: float, reasons: list[str]) -> None:
    end, most = monotonic() + seconds, resident() + limit()
    while not done.wait(_STEP):
        if monotonic() > end:
            reasons.append(f"it was ended after {seconds:g} s")
        elif resident() > most:
            reasons.append(f"it was ended at {scaled(float(resident()))}B of memory")
        if reasons:
            options.terminate = True
            return
