"""What a user asks of a hardware project."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Literal, TypedDict, Unpack, get_args

from ...backends.hls import configuration
from ...backends.hls.budget import FEWEST_BITS, MOST_BITS
from ...backends.hls.cost import compare, tradeoff
from ...backends.hls.cost.settings import UNROLLED_WEIGHTS, Setting, Strategy, weighted, weights
from ...backends.hls.network import Network
from ...backends.hls.parts import dsp_blocks, usual_part
from ...backends.hls.style import Backend, IoType, Style
from ...ir.errors import UsageError

MAX_ERROR = 0.02
"""The share of an output's RMS that its RMS error may reach where neither bits nor an error are given."""

_XILINX = ("Vitis", "Vivado")


class Options(TypedDict, total=False):
    """How to build, as the fields of :class:`Settings`.

    ``backend`` is ``Vitis``, ``Vivado``, ``Quartus`` or ``Catapult``; ``io_type`` ``io_stream`` or ``io_parallel``, by
    default the latter for networks of vectors only; ``strategy`` ``latency``, ``resource`` or
    ``distributed_arithmetic``, by default what suits each layer. ``reuse`` is a number for every layer, or ``auto``:
    balanced under ``multipliers``, by default those of
    ``part``.

    ``bits`` are of weights and activations, "8" or "8,10"; else as few as keep the outputs' RMS error within the share
    ``max_error`` of their RMS, by default 0.02. ``part``, by default an xc7z020 or, for Quartus, an Arria 10, and
    ``clock`` (period in ns) go to the vendor's tool.
    ``recalibrate`` leaves out what quantises values in the model, whose types are kept else.
    ``csim`` compiles and runs the C simulation, ``rtl`` makes and measures hardware of our own.
    """

    backend: str
    io_type: str | None
    strategy: str | None
    reuse: int | str
    multipliers: int | None
    bits: int | str | None
    max_error: float | None
    part: str | None
    clock: float
    recalibrate: bool
    csim: bool
    rtl: bool
    seed: int


@dataclass(frozen=True)
class Settings:
    """What the user asked for, checked: see :class:`Options`. ``bits``: of weights and of activations."""

    backend: Backend
    io_type: IoType | None
    strategy: Strategy | None
    reuse: int | Literal["auto"]
    multipliers: int | None
    bits: tuple[int, int] | None
    max_error: float
    part: str
    clock: float
    recalibrate: bool
    csim: bool
    rtl: bool
    seed: int

    @staticmethod
    def parse(**options: Unpack[Options]) -> Settings:
        """Check and gather options. Raises UsageError."""
        given: dict[str, Any] = {**_DEFAULTS, **options}
        _one_of("backend", given["backend"], get_args(Backend))
        _one_of("io-type", given["io_type"], (None, *get_args(IoType)))
        _one_of("strategy", given["strategy"], (None, *get_args(Strategy)))
        given["reuse"] = _reuse(given["reuse"])
        if given["bits"] is not None and given["max_error"] is not None:
            raise UsageError("bits and max-error exclude each other", hint="give one")
        given["bits"] = None if given["bits"] is None else _bits(str(given["bits"]))
        given["max_error"] = MAX_ERROR if given["max_error"] is None else given["max_error"]
        given["part"] = given["part"] or usual_part(given["backend"])
        settings = Settings(**given)
        _check(settings)
        return settings

    def io_of(self, network: Network) -> IoType:
        """Return the style of input and output of a network."""
        streamed = any(len(layer.shape) > 1 for layer in network.layers)
        return self.io_type or ("io_stream" if streamed else "io_parallel")

    def style(self, network: Network) -> Style:
        """Return what a network is built for, with what is installed."""
        graphs = self.backend in _XILINX and adder_graphs_installed()
        return Style(self.backend, self.io_of(network), graphs)

    @property
    def budget(self) -> int:
        """Return the multipliers to share. Raises UsageError where nobody says how many."""
        return dsp_blocks(self.part) if self.multipliers is None else self.multipliers

    def point(self, network: Network) -> dict[str, Setting]:
        """Return each layer's setting. Raises TargetNotMetError where the multipliers are too few."""
        style, layers = self.style(network), [layer for layer in network.layers if weighted(layer)]
        if self.strategy == "distributed_arithmetic":
            return {layer.name: Setting(1, self.strategy) for layer in layers}
        if self.reuse == "auto":
            if self.multipliers is None:
                return compare.operating_point(network, self.strategy, style, self.part)
            return tradeoff.balanced(network, self.multipliers, self.strategy, style)
        shared = {layer.name for layer in layers if self.reuse > 1 or weights(layer).size > UNROLLED_WEIGHTS}
        return {
            layer.name: Setting(self.reuse, self.strategy or ("resource" if layer.name in shared else "latency"))
            for layer in layers
        }

    def options(self, network: Network) -> configuration.Options:
        """Return what the project is written with. Raises TargetNotMetError as :meth:`point` does."""
        return configuration.Options(
            self.backend, self.io_of(network), self.part, self.clock, self.point(network)
        )  # fmt: skip


def adder_graphs_installed() -> bool:
    """Whether da4ml is here, by which hls4ml builds distributed arithmetic."""
    return find_spec("da4ml") is not None


_DEFAULTS: dict[str, Any] = {
    "backend": "Vitis",
    "io_type": None,
    "strategy": None,
    "reuse": "auto",
    "multipliers": None,
    "bits": None,
    "max_error": None,
    "part": None,
    "clock": 5.0,
    "recalibrate": False,
    "csim": True,
    "rtl": False,
    "seed": 0,
}


def _one_of(option: str, value: str | None, allowed: tuple[str | None, ...]) -> None:
    if value not in allowed:
        named = ", ".join(name for name in allowed if name)
        raise UsageError(f"there is no {option} '{value}'", hint=f"one of {named}")


def _reuse(given: int | str) -> int | Literal["auto"]:
    if given == "auto":
        return "auto"
    if not str(given).isdecimal() or int(given) < 1:
        raise UsageError(f"reuse '{given}' is no factor", hint="give 1 or more, or auto")
    return int(given)


def _bits(given: str) -> tuple[int, int]:
    found = re.fullmatch(r"\s*(\d+)\s*(?:,\s*(\d+)\s*)?", given)
    both = tuple(int(number) for number in (found[1], found[2] or found[1])) if found else ()
    if len(both) != 2 or not all(FEWEST_BITS <= bits <= MOST_BITS for bits in both):
        hint = f"{FEWEST_BITS} to {MOST_BITS}, as 8 or as 8,10 for weights and activations"
        raise UsageError(f"bits '{given}' are no widths", hint=hint)
    return both


def _check(settings: Settings) -> None:
    if not 0 < settings.max_error < 1:
        raise UsageError(f"max-error={settings.max_error} is no share between 0 and 1")
    if not settings.clock > 0:
        raise UsageError(f"clock={settings.clock} is no period", hint="give nanoseconds")
    if settings.multipliers is not None and settings.multipliers < 1:
        raise UsageError(f"multipliers={settings.multipliers} is no budget", hint="give 1 or more")
    if settings.reuse != "auto" and settings.multipliers is not None:
        raise UsageError("multipliers are a budget for reuse auto", hint="leave one out")
    if settings.strategy != "distributed_arithmetic":
        _ = settings.reuse != "auto" or settings.budget  # a part that is not known says so
        return
    if settings.reuse not in ("auto", 1) or settings.multipliers is not None:
        raise UsageError("distributed arithmetic has adders only and reuses none", hint="leave reuse and multipliers")
    if settings.backend not in _XILINX:
        raise UsageError(f"hls4ml has no distributed arithmetic for {settings.backend}", hint="choose Vitis or Vivado")
    if not adder_graphs_installed():
        raise UsageError("distributed arithmetic needs da4ml", hint="pip install 'optimise-onnx[hls]'")
