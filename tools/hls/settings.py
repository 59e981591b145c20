"""What a user asks of a hardware project."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, TypedDict, Unpack, get_args

from ...backends.hls import configuration
from ...backends.hls.cost import compare, tradeoff
from ...backends.hls.cost.settings import Setting, Strategy, Wish, weighted
from ...backends.hls.network import Network
from ...backends.hls.parts import dsp_blocks, usual_part
from ...backends.hls.style import Backend, IoType, Style
from ...ir.errors import UsageError
from . import config_file
from .layers import LayerWish, Widths, factor, parsed, settings_by_layer, strategy, widths

MAX_ERROR = 0.02
"""The share of an output's RMS that its RMS error may reach where neither bits nor an error are given."""

_XILINX = ("Vitis", "Vivado")


class Options(TypedDict, total=False):
    """How to build, as the fields of :class:`Settings`.

    ``backend`` is ``Vitis``, ``Vivado``, ``Quartus`` or ``Catapult``; ``io_type`` ``io_stream`` or ``io_parallel``, by
    default the latter for networks of vectors only; ``strategy`` ``latency``, ``resource`` or
    ``distributed_arithmetic``, by default what suits each layer. ``reuse`` is a number for every layer, or ``auto``:
    balanced under ``multipliers``, by default those of ``part``; with a number they are a limit.

    ``bits`` are of weights and activations, "8" or "8,10"; else as few as keep the outputs' RMS error within the share
    ``max_error`` of their RMS, by default 0.02. ``part``, by default an xc7z020 or, for Quartus, an Arria 10, and
    ``clock`` (period in ns) go to the vendor's tool.
    ``layers``: what is asked of single layers instead, each as "NAME:bits=8,4,reuse=16,strategy=resource".
    ``config``: a file of hls4ml's, whose tool, part, clock, widths, reuse and strategies hold unless options say else.
    ``recalibrate`` leaves out what quantises values in the model, whose types are kept else.
    ``csim`` compiles and runs the C simulation, ``rtl`` makes and measures hardware of our own.
    ``front`` types this model and the one of before within three error budgets.
    """

    backend: str | None
    io_type: str | None
    strategy: str | None
    reuse: int | str | None
    multipliers: int | None
    bits: int | str | None
    max_error: float | None
    part: str | None
    clock: float | None
    recalibrate: bool
    csim: bool
    rtl: bool
    front: bool
    seed: int
    layers: Sequence[str]
    config: str | Path | None


@dataclass(frozen=True)
class Settings:
    """What the user asked for, checked: see :class:`Options`. ``bits``: of weights and of activations."""

    backend: Backend
    io_type: IoType | None
    strategy: Strategy | None
    reuse: int | Literal["auto"]
    multipliers: int | None
    bits: Widths | None
    max_error: float
    part: str
    clock: float
    recalibrate: bool
    csim: bool
    rtl: bool
    front: bool
    seed: int
    layers: tuple[LayerWish, ...]

    @staticmethod
    def parse(**options: Unpack[Options]) -> Settings:
        """Check and gather options. Raises UsageError."""
        given = _gathered({key: value for key, value in options.items() if value is not None})
        _one_of("backend", given["backend"], get_args(Backend))
        _one_of("io-type", given["io_type"], (None, *get_args(IoType)))
        given["strategy"] = strategy(given["strategy"])
        given["reuse"] = "auto" if given["reuse"] == "auto" else factor(str(given["reuse"]))
        if given["bits"] is not None and given["max_error"] is not None:
            raise UsageError("bits and max-error exclude each other", hint="give one")
        given["bits"] = None if given["bits"] is None else widths(str(given["bits"]))
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

    def wishes(self, network: Network) -> dict[str, Wish]:
        """Return what is asked of how each layer with weights is built: of all layers, unless of it alone."""
        alone = settings_by_layer(network, self.layers)
        whole = Wish(None if self.reuse == "auto" else self.reuse, self.strategy)
        if self.strategy == "distributed_arithmetic":
            whole = Wish(1, self.strategy)
        return {layer.name: alone.get(layer.name, whole).over(whole) for layer in network.layers if weighted(layer)}

    def point(self, network: Network) -> dict[str, Setting]:
        """Return each layer's setting. Raises TargetNotMetError where the multipliers are too few."""
        style, wishes = self.style(network), self.wishes(network)
        if self.multipliers is None and self._shares:
            return compare.operating_point(network, wishes, style, self.part)
        return tradeoff.balanced(network, self.multipliers, wishes, style)

    @property
    def _shares(self) -> bool:
        """Whether layers share a budget of multipliers."""
        return self.reuse == "auto" and self.strategy != "distributed_arithmetic"

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
    "front": False,
    "seed": 0,
}


def _gathered(options: dict[str, Any]) -> dict[str, Any]:
    """Return options over those of a configuration file, over the defaults."""
    file = config_file.options(options.pop("config")) if "config" in options else {}
    if "max_error" in options:
        file.pop("bits", None)
    layers = (*file.pop("layers", ()), *map(parsed, options.pop("layers", ())))
    return {**_DEFAULTS, **file, **options, "layers": layers}


def _one_of(option: str, value: str | None, allowed: tuple[str | None, ...]) -> None:
    if value not in allowed:
        named = ", ".join(name for name in allowed if name)
        raise UsageError(f"there is no {option} '{value}'", hint=f"one of {named}")


def _check(settings: Settings) -> None:
    if not 0 < settings.max_error < 1:
        raise UsageError(f"max-error={settings.max_error} is no share between 0 and 1")
    if not settings.clock > 0:
        raise UsageError(f"clock={settings.clock} is no period", hint="give nanoseconds")
    if settings.multipliers is not None and settings.multipliers < 1:
        raise UsageError(f"multipliers={settings.multipliers} is no budget", hint="give 1 or more")
    if settings.strategy != "distributed_arithmetic":
        _ = settings.reuse != "auto" or settings.budget  # a part that is not known says so
    if "distributed_arithmetic" in (settings.strategy, *(wish.strategy for wish in settings.layers)):
        _check_adder_graphs(settings)


def _check_adder_graphs(settings: Settings) -> None:
    whole = Wish(None if settings.reuse == "auto" else settings.reuse, settings.strategy)
    wishes = [whole, *(wish.setting.over(Wish(None, settings.strategy)) for wish in settings.layers)]
    shared = any(wish.strategy == "distributed_arithmetic" and (wish.reuse or 1) > 1 for wish in wishes)
    if shared or (settings.strategy == "distributed_arithmetic" and settings.multipliers is not None):
        raise UsageError("distributed arithmetic has adders only and reuses none", hint="leave reuse and multipliers")
    if settings.backend not in _XILINX:
        raise UsageError(f"hls4ml has no distributed arithmetic for {settings.backend}", hint="choose Vitis or Vivado")
    if not adder_graphs_installed():
        raise UsageError("distributed arithmetic needs da4ml", hint="pip install 'optimise-onnx[hls]'")
