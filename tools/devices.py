"""Where a target counts: this machine, what a user's command asks, or an analytic hardware design."""

from __future__ import annotations

from typing import cast

from ..backends.hls.device import Quantity, Streaming
from ..backends.latency.command import Command
from ..backends.latency.execution import Execution
from ..backends.latency.local import LocalDevice
from ..ir.graph import Graph
from ..ir.timing import Device
from .settings import Running


def device_of(quantity: str, running: Running, original: Graph) -> Device:
    """Return the device that measures a quantity. Raises LoweringError where hardware cannot hold the original."""
    if quantity in ("hls-latency", "hls-multipliers"):
        return Streaming.of(original, cast(Quantity, quantity))
    if running.latency_command is not None:
        return Command(running.latency_command)
    return LocalDevice(Execution(running.threads, running.batch))
