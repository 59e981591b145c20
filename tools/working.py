"""Where a command's work is done: here, in processes beside this one, or on a Dask cluster."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ..backends.workers.cluster import cluster
from ..backends.workers.processes import processes
from ..ir.workers import IN_PROCESS, Workers
from .settings import Running, Settings


@contextmanager
def working(running: Running) -> Iterator[Workers]:
    """Have the workers that are asked for until the block ends. Raises UsageError where they cannot be had."""
    if running.scheduler is not None:
        with cluster(running.scheduler) as found:
            yield found
    elif running.jobs > 1:
        with processes(running.jobs) as found:
            yield found
    else:
        yield IN_PROCESS


def carriers(settings: Settings, workers: Workers) -> Workers:
    """Return the workers that may carry out targets: this process where two at once would disturb what is measured."""
    measured = settings.target.measured or settings.latency_command is not None
    return IN_PROCESS if measured else workers
