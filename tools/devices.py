"""Where a target counts: what its quantity brings along, this machine, or another device by name."""

from __future__ import annotations

from ..backends.devices import device
from ..backends.latency.execution import Execution
from ..ir.graph import Graph
from ..ir.quantity import Measured
from ..ir.timing import Device
from ..passes.analysis.costs.quantities import quantities
from .settings import Running


def device_of(quantity: str, running: Running, original: Graph) -> Device:
    """Return the device that measures a quantity. Raises LoweringError where hardware cannot hold the original."""
    known = quantities().find(quantity)
    own = known.device(original) if isinstance(known, Measured) else None
    return own or device(running.place, Execution(running.threads, running.batch))
