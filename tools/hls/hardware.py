"""Tiers 2 and 3: adder graphs, and hardware of our own, simulated and mapped to cells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ...backends.hls.adder_graphs import KernelCost, estimate
from ...backends.hls.emulator import Emulator
from ...backends.hls.network import Floats, Network
from ...backends.hls.precision import Precision
from ...backends.hls.project import held_samples
from ...backends.hls.rtl.design import FILE
from ...backends.hls.rtl.measure import Measurement, measure
from ...ir.scratch import scratch

_IMAGES = 4


@dataclass(frozen=True)
class Hardware:
    """``kernels``: tier 2, by layer; ``measured``: tier 3; ``verilog``: the design."""

    kernels: Mapping[str, KernelCost]
    measured: Measurement
    verilog: str

    @property
    def lut(self) -> int:
        """Sum the look-up tables of all kernels as they are estimated."""
        return sum(kernel.lut or 0 for kernel in self.kernels.values())

    def to_json(self) -> dict[str, Any]:
        """Return plain values; cycles, and cells of Xilinx UltraScale+."""
        area = self.measured.area
        return {
            "tier2": {"lut": self.lut, "layers": {name: asdict(kernel) for name, kernel in self.kernels.items()}},
            "tier3": {
                "latency": self.measured.latency,
                "interval": self.measured.interval,
                "cells": area and asdict(area.total),
                "layers": area and {name: asdict(cells) for name, cells in area.layers.items()},
                "fifo_depths": dict(self.measured.depths),
            },
        }


def hardware(network: Network, precision: Precision, samples: Floats) -> Hardware:
    """Make and measure hardware of a network on its grids; ``samples`` (n, H, W, C) or (n, N), of which 4 are run.

    Raises LoweringError where none can be made or a tool is missing, VerificationError where a word differs.
    """
    given = held_samples(network, precision, samples[:_IMAGES])
    expected = Emulator(network, precision).run(given)
    with scratch() as place:
        measured = measure(network, precision, network.apart(given), expected, place)
        return Hardware(estimate(network, precision), measured, (place / FILE).read_text(encoding="utf-8"))
