"""The devices by name: where models are meant to run, and their time counts."""

from typing import Protocol, runtime_checkable

from ..ir.errors import UsageError
from ..ir.registry import Registry
from ..ir.timing import Device
from .latency.command import Command
from .latency.execution import Execution
from .latency.local import LocalDevice

LOCAL = "local"


@runtime_checkable
class Maker(Protocol):
    """Makes a device from what stands behind its name and a colon, for runs of ``execution``'s threads and batch."""

    def __call__(self, options: str, execution: Execution, /) -> Device:
        """Raises UsageError for options that cannot be used."""


def _local(options: str, execution: Execution) -> Device:
    if options:
        raise UsageError(f"the device 'local' takes no options, not '{options}'")
    return LocalDevice(execution)


def _command(options: str, _execution: Execution) -> Device:
    return Command(options)


DEVICES: Registry[Maker] = Registry("device", "optimise_onnx.devices", {LOCAL: _local, "command": _command}, kind=Maker)


def device(spec: str, execution: Execution) -> Device:
    """Make the device ``NAME[:options]``: ``local``, ``command:ssh board time-it {model}``. Raises UsageError."""
    name, _, options = spec.partition(":")
    return DEVICES.find(name)(options, execution)
