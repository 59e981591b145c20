"""Where a target counts: this machine, what a user's command asks, or an analytic hardware design."""

from __future__ import annotations

from ..backends.hls.device import Streaming
from ..backends.latency.command import Command
from ..backends.latency.execution import Execution as LatencyTarget
from ..backends.latency.local import LocalDevice
from ..ir.graph import Graph
from ..ir.timing import Device
from .settings import Settings


def device_of(settings: Settings, original: Graph) -> Device:
    """Return the device that a target asks for. Raises LoweringError where the hardware cannot hold the original."""
    kind = settings.target.kind
    if kind == "hls-latency" or kind == "hls-multipliers":
        return Streaming.of(original, kind)
    if settings.latency_command is not None:
        return Command(settings.latency_command)
    return LocalDevice(LatencyTarget(settings.threads, settings.batch))
