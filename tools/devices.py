"""Where a target counts: what its quantity brings along, a user's command, or this machine."""

from __future__ import annotations

from ..backends.latency.command import Command
from ..backends.latency.execution import Execution as LatencyTarget
from ..backends.latency.local import LocalDevice
from ..ir.graph import Graph
from ..ir.quantity import Measured
from ..ir.timing import Device
from .settings import Settings


def device_of(settings: Settings, original: Graph) -> Device:
    """Return the device that a target asks for. Raises LoweringError where the hardware cannot hold the original."""
    quantity = settings.target.quantity
    own = quantity.device(original) if isinstance(quantity, Measured) else None
    if own is not None:
        return own
    if settings.latency_command is not None:
        return Command(settings.latency_command)
    return LocalDevice(LatencyTarget(settings.threads, settings.batch))
