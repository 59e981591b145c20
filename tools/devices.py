"""Where a target counts: this machine, another device by name, or an analytic hardware design."""

from __future__ import annotations

from typing import cast

from ..backends.devices import device
from ..backends.hls.device import Quantity, Streaming
from ..backends.latency.execution import Execution
from ..ir.graph import Graph
from ..ir.timing import Device
from .settings import Running


def device_of(quantity: str, running: Running, original: Graph) -> Device:
    """Return the device that measures a quantity. Raises LoweringError where hardware cannot hold the original."""
    if quantity in ("hls-latency", "hls-multipliers"):
        return Streaming.of(original, cast(Quantity, quantity))
    return device(running.place, Execution(running.threads, running.batch))
