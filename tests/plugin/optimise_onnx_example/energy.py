"""A quantity: the energy of one sample, by what a multiplication and a byte from memory take."""

from dataclasses import dataclass, replace

from optimise_onnx.ir.cost import cost, total
from optimise_onnx.ir.graph import Graph
from optimise_onnx.passes.analysis.channels.groups import Channels
from optimise_onnx.passes.analysis.costs.meters import Counted
from optimise_onnx.passes.analysis.costs.products import Product, cost_products

JOULES = {"macs": 4.6e-12, "bytes": 160e-12}
"""Horowitz, "Computing's energy problem", ISSCC 2014: 32-bit floats at 45 nm, weights read from DRAM once."""


@dataclass(frozen=True)
class Energy(Counted):
    """Adds up what MACs and stored bytes take."""

    def of(self, graph: Graph) -> float:
        """Return joules."""
        whole = total(cost(graph))
        return JOULES["macs"] * whole.macs + JOULES["bytes"] * whole.bytes

    def products(self, graph: Graph, channels: Channels) -> list[Product]:
        """Write joules over the widths of groups."""
        parts = {kind: cost_products(graph, channels, kind) for kind in JOULES}
        return [replace(each, factor=each.factor * JOULES[kind]) for kind, part in parts.items() for each in part]


ENERGY = Energy("energy", "joules", {"": 1.0, "J": 1.0, "mJ": 1e-3, "uJ": 1e-6}, shown="uJ")
