"""Where a target counts: this machine, another device by name, or an analytic hardware design."""

from __future__ import annotations

from ..backends.devices import device
from ..backends.hls.device import Streaming
from ..backends.latency.execution import Execution
from ..ir.graph import Graph
from ..ir.timing import Device
from .settings import Settings


def device_of(settings: Settings, original: Graph) -> Device:
    """Return the device that a target asks for. Raises LoweringError where the hardware cannot hold the original."""
    kind = settings.target.kind
    if kind == "hls-latency" or kind == "hls-multipliers":
        return Streaming.of(original, kind)
    return device(settings.place, Execution(settings.threads, settings.batch))
