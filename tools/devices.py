"""Where a target counts: what its quantity brings along, this machine, or another device by name."""

from __future__ import annotations

from dataclasses import replace

from ..backends.devices import device
from ..backends.latency.command import Command
from ..backends.latency.execution import Execution
from ..ir.graph import Graph
from ..ir.quantity import Measured
from ..ir.timing import Device
from ..ir.workers import Workers
from ..passes.analysis.costs.quantities import quantities
from .settings import Running


def device_of(quantity: str, running: Running, original: Graph, boards: Workers | None = None) -> Device:
    """Return the device that measures a quantity; a command is asked by ``boards``, where workers have some.

    Raises LoweringError where hardware cannot hold the original.
    """
    known = quantities().find(quantity)
    own = known.device(original) if isinstance(known, Measured) else None
    found = own or device(running.place, Execution(running.threads, running.batch))
    return replace(found, workers=boards) if boards is not None and isinstance(found, Command) else found
