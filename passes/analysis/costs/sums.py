"""MACs, parameters and bytes of weights: sums over layers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from ....ir.cost import all_shapes, cost, total, unknown_layers
from ....ir.errors import UnsupportedOpError
from ....ir.graph import Graph
from ....ir.quantity import BYTES as BYTE_SUFFIXES
from ....ir.quantity import COUNTS
from ....ir.shapes import Shape
from ..channels.groups import Channels
from ..layers.forms import Form, Indexed
from ..layers.linear import Linear
from .meters import Counted
from .products import Product, bias_products, cost_products

_INDEX = 8  # bytes of a stored integer


@dataclass(frozen=True)
class Sum(Counted):
    """Counts multiply-accumulates of one sample, weights, or bytes of weights, as its name says."""

    name: Literal["macs", "params", "bytes"]

    def of(self, graph: Graph) -> float:
        """Count a whole graph. Raises UnsupportedOpError for MACs of which some are unknown."""
        shapes = all_shapes(graph)
        if self.name == "macs":
            refuse_unknown(graph, shapes)
        whole = total(cost(graph, shapes))
        return {"macs": whole.macs, "params": whole.parameters, "bytes": whole.bytes}[self.name]

    def products(self, graph: Graph, channels: Channels) -> list[Product]:
        """Write the cost of the graph that was analysed over the widths of its groups."""
        return cost_products(graph, channels, self.name)

    def later(self, graph: Graph, channels: Channels) -> list[Product]:
        """Write what biases will cost that solving its layers anew would add."""
        return bias_products(graph, channels, self.name)

    def layer(self, layer: Linear, macs: int, itemsize: int) -> float:
        """Count a layer that has so many MACs."""
        return macs if self.name == "macs" else self.whole(layer, (), itemsize)

    def whole(self, layer: Linear, sizes: tuple[int, ...], itemsize: int) -> float:
        """Count a layer in the unit of :meth:`form`: of a product, for one row."""
        weights = layer.groups * layer.fan_in * layer.fan_out
        if self.name == "macs":
            return weights * layer.positions(sizes)
        return weights * (itemsize if self.name == "bytes" else 1)

    def form(self, form: Form, layer: Linear, sizes: tuple[int, ...], itemsize: int) -> float:
        """Count what stands in a layer's place when it takes a form."""
        if self.name == "macs":
            return form.macs(layer, sizes)
        if self.name == "params":
            return form.parameters(layer)
        beside = form.indices(layer) * _INDEX if isinstance(form, Indexed) else 0
        return form.parameters(layer) * itemsize + beside


def refuse_unknown(graph: Graph, shapes: Mapping[str, Shape]) -> None:
    """Raise UnsupportedOpError for a node of which no one can tell how often it multiplies."""
    unknown = unknown_layers(graph, shapes)
    if not unknown:
        return
    node, more = graph.node(unknown[0]), "" if len(unknown) == 1 else f", nor those of {len(unknown) - 1} more layers"
    raise UnsupportedOpError(
        f"the MACs of this node cannot be told{more}",
        node_name=node.name,
        op_type=node.op,
        why="its shapes, its operator or how often it runs are unknown",
        hint="set a target in params, bytes or latency; analyse says whether anything can go",
    )


MACS = Sum("macs", "MACs", COUNTS)
PARAMS = Sum("params", "parameters", COUNTS, examples=("60%",))
BYTES = Sum("bytes", "bytes", BYTE_SUFFIXES, examples=("4MB",))
