"""What a user asks of a compression."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict, Unpack

from ..backends.devices import DEVICES, LOCAL
from ..backends.latency.command import Command
from ..ir.errors import UsageError
from ..passes.allocate.target import Target
from ..passes.decompose.families import chosen


class Options(TypedDict, total=False):
    """How to compress, as the fields of :class:`Settings`.

    ``criterion`` ranks channels: ``obs`` with data and ``magnitude`` without by default. ``keep`` are regular
    expressions of nodes or tensors whose channels stay, ``keep_type`` operators likewise. At most the share
    ``max_ratio`` of a group goes, and widths stay multiples of ``align``, with 0 of what pays on the device.

    Latency is of ``batch`` samples on ``threads`` threads (0: as many as onnxruntime takes) on ``device``: ``local``,
    or what another package offers, ``NAME:options``; or what ``latency_command`` says, in which ``{model}`` stands for
    a file. ``guard`` sees to it that the model is not slower
    than the original; ``allow_partial`` gives the best that was found where a target is missed.

    ``strict`` refuses models with operators that have no rule. ``allocation`` is ``global``, ``uniform`` or ``bisect``;
    ``sampler`` lets layers drop channels of a stream that others still read. ``forms`` names families of forms that
    layers may take besides losing channels: ``stretch``, ``low-rank``, ``strided``, ``grouped``, or ``all``. With
    ``cache`` what was measured is kept for another target of the same model and data, in the folder that the variable
    OPTIMISE_ONNX_CACHE names or the user's cache.
    """

    criterion: str | None
    keep: Sequence[str]
    keep_type: Sequence[str]
    max_ratio: float | None
    align: int
    threads: int
    batch: int
    device: str
    latency_command: str | None
    guard: bool
    allow_partial: bool
    seed: int
    strict: bool
    allocation: str
    sampler: bool
    forms: Sequence[str]
    cache: bool


@dataclass(frozen=True)
class Settings:
    """What the user asked for: a target, and :class:`Options`."""

    target: Target
    criterion: str | None = None
    keep: Sequence[str] = ()
    keep_type: Sequence[str] = ()
    max_ratio: float | None = None
    align: int = 0
    threads: int = 0
    batch: int = 1
    device: str = LOCAL
    latency_command: str | None = None
    guard: bool = True
    allow_partial: bool = False
    seed: int = 0
    strict: bool = False
    allocation: str = "global"
    sampler: bool = False
    forms: Sequence[str] = ()
    cache: bool = True

    @staticmethod
    def parse(target: str | Target, **options: Unpack[Options]) -> Settings:
        """Check and gather options. Raises UsageError for a wrong target, ``max_ratio``, ``align`` or form."""
        given = Settings(target if isinstance(target, Target) else Target.parse(target), **options)
        if given.align < 0:
            raise UsageError(f"align={given.align} is no width", hint="give 1 or more, or 0 for what pays")
        if given.max_ratio is not None and not 0 <= given.max_ratio <= 1:
            raise UsageError(f"max_ratio={given.max_ratio} is no share between 0 and 1")
        chosen(given.forms)
        DEVICES.find(given.device.partition(":")[0])
        if given.latency_command is not None:
            Command(given.latency_command)
            if given.device != LOCAL:
                raise UsageError("device and latency_command both say where latency counts", hint="give one of them")
        return given

    @property
    def place(self) -> str:
        """The device where latency counts, as :func:`optimise_onnx.backends.devices.device` reads it."""
        return self.device if self.latency_command is None else f"command:{self.latency_command}"

    @property
    def here(self) -> bool:
        """Whether latency counts on this machine."""
        return self.place == LOCAL
