"""What was handed over, as data: types, checks, costs, each figure with the tier that it comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any

from ...backends.hls.configuration import Options
from ...backends.hls.cost.compare import Comparison
from ...backends.hls.cost.report import LayerCost, NetworkCost
from ...backends.hls.network import Layer, Network
from ...backends.hls.precision import Precision, Types
from .checks import Measured, Traced
from .front import Point
from .hardware import Hardware
from .settings import Settings

TIERS = {
    "tier1": "analytic: trips of hls4ml's loops, counted; no FPGA latency",
    "tier2": "adder graphs, fully unrolled: look-up tables as da4ml estimates them",
    "tier3": "our own RTL, fully unrolled: cycles by Verilator, cells by Yosys before placement; not the vendor's RTL",
}

_VERSIONS = ("optimise-onnx", "hls4ml", "onnx", "onnxruntime", "numpy")


@dataclass(frozen=True)
class Checks:
    """``lowered``: how far floating point is from onnxruntime, of the largest result, over ``samples``; ``csim``: the
    samples of the C simulation, all bits equal, None where it was not run; ``qonnx``: the steps that ``network.qonnx``
    is off at most; ``traced`` by layer; both over ``samples``.
    """

    samples: int
    lowered: float
    csim: int | None
    qonnx: float
    measured: Measured
    traced: Mapping[str, Traced]


@dataclass(frozen=True)
class Report:
    """``network`` and ``precision`` are what was built; ``calibration``: how many samples types come from, ``origin``
    what the emulator was measured on; ``cost`` at the settings of ``options``, which name every layer with weights.
    """

    source: str
    settings: Settings
    options: Options
    calibration: int
    origin: str
    network: Network
    precision: Precision
    cost: NetworkCost
    checks: Checks
    comparison: Comparison | None
    front: tuple[Point, ...]
    hardware: Hardware | None
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return plain values; cycles, bits and counts are whole numbers."""
        checks = self.checks
        return {
            "source": self.source,
            "versions": {name: version(name) for name in _VERSIONS},
            "settings": asdict(self.settings) | {"io_type": self.options.io_type},
            "calibration_samples": self.calibration,
            "checks": {
                "floating_point_against_onnxruntime": {"samples": checks.samples, "largest_difference": checks.lowered},
                "csim_against_emulator": None if checks.csim is None else {"samples": checks.csim, "largest_lsb": 0},
                "qonnx_against_emulator": {"samples": checks.samples, "largest_lsb": checks.qonnx},
                "emulator_against_onnxruntime": _measured(checks.measured) | {"measured_on": self.origin},
            },
            "tiers": TIERS,
            "tier1": _totals(self.cost),
            "layers": [
                self._layer(layer, cost) for layer, cost in zip(self.network.layers, self.cost.layers, strict=True)
            ],
            "comparison": self.comparison and _comparison(self.comparison),
            "front": [point.to_json() for point in self.front],
            "hardware": self.hardware and self.hardware.to_json(),
            "notes": list(self.notes),
        }

    def _layer(self, layer: Layer, cost: LayerCost) -> dict[str, Any]:
        return {
            "name": layer.name,
            "source": layer.source,
            "kind": kind(layer),
            "shape": list(layer.shape),
            "types": types(self.precision[layer.name]),
            "trace": asdict(self.checks.traced[layer.name]),
            "tier1": {
                **asdict(cost.setting),
                "interval": cost.interval,
                "multipliers": cost.multipliers,
                "weights": cost.weights,
                "nonzeros": cost.nonzeros,
                "weight_bits": cost.weight_bits,
                "line_buffer_bits": cost.line_buffer_bits,
                "stream_bits": cost.stream_bits,
            },
        }


def kind(layer: Layer) -> str:
    """Name what a layer does."""
    named = getattr(layer, "kind", None)
    depthwise = "depthwise " if getattr(layer, "depthwise", False) else ""
    return depthwise + (f"{type(layer).__name__.lower()}{f' {named}' if named else ''}")


def types(given: Types) -> dict[str, str]:
    """Write the types of a layer as hls4ml reads them."""
    named = {"result": given.result, "weight": given.weight, "bias": given.bias, "accumulator": given.accumulator}
    return {name: str(grid) for name, grid in named.items() if grid is not None}


def _measured(found: Measured) -> dict[str, Any]:
    rates = found.accuracy
    return {
        "samples": found.samples,
        "outputs": {name: difference.to_json() for name, difference in found.outputs.items()},
        "accuracy": rates and {"onnxruntime": rates[0], "emulator": rates[1]},
    }


def _totals(found: NetworkCost) -> dict[str, int]:
    return {
        "multipliers": found.multipliers,
        "interval": found.interval,
        "latency": found.latency,
        "nonzeros": found.nonzeros,
        "weight_bits": found.weight_bits,
        "line_buffer_bits": found.line_buffer_bits,
        "stream_bits": found.stream_bits,
    }


def _comparison(found: Comparison) -> dict[str, Any]:
    return {
        "before": _totals(found.before),
        "equal_interval": _totals(found.equal_interval),
        "equal_multipliers": _totals(found.equal_multipliers),
        "multipliers_left": found.multipliers_left,
        "interval_left": found.interval_left,
        "latency_left": found.latency_left,
    }
