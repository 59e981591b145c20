"""What a cost target counts: of a whole graph, of one layer, and of the forms that it may take."""

from dataclasses import dataclass
from typing import Literal, Protocol

from ....ir.cost import Cost, cost, total
from ....ir.graph import Graph
from ..channels.groups import Channels
from ..layers.forms import Form, Indexed
from ..layers.linear import Linear
from .products import Product, bias_products, cost_products

Kind = Literal["macs", "params", "bytes"]

_INDEX = 8  # bytes of a stored integer


class Meter(Protocol):
    """``layer`` and ``sizes`` in the methods: a layer and the spatial sizes of its input, () for a product;
    ``itemsize``: bytes of one weight.
    """

    @property
    def unit(self) -> str:
        """What is counted, for messages."""

    def of(self, graph: Graph) -> float:
        """Count a whole graph, for one sample."""

    def products(self, graph: Graph, channels: Channels) -> list[Product]:
        """Write the cost of the graph that was analysed over the widths of its groups."""

    def later(self, graph: Graph, channels: Channels) -> list[Product]:
        """Write what biases will cost that solving its layers anew would add."""

    def layer(self, layer: Linear, macs: int, itemsize: int) -> float:
        """Count a layer that has so many MACs."""

    def whole(self, layer: Linear, sizes: tuple[int, ...], itemsize: int) -> float:
        """Count a layer in the unit of :meth:`form`: of a product, for one row."""

    def form(self, form: Form, layer: Linear, sizes: tuple[int, ...], itemsize: int) -> float:
        """Count what stands in a layer's place when it takes a form."""


@dataclass(frozen=True)
class Counted:
    """Counts multiply-accumulates of one sample, weights, or bytes of weights."""

    kind: Kind

    @property
    def unit(self) -> str:
        """What is counted, for messages."""
        return self.kind

    def of(self, graph: Graph) -> float:
        """Count a whole graph."""
        return self.counted(total(cost(graph)))

    def counted(self, whole: Cost) -> int:
        """Return what a cost holds of this kind."""
        return {"macs": whole.macs, "params": whole.parameters, "bytes": whole.bytes}[self.kind]

    def products(self, graph: Graph, channels: Channels) -> list[Product]:
        """Write the cost of the graph that was analysed over the widths of its groups."""
        return cost_products(graph, channels, self.kind)

    def later(self, graph: Graph, channels: Channels) -> list[Product]:
        """Write what biases will cost that solving its layers anew would add."""
        return bias_products(graph, channels, self.kind)

    def layer(self, layer: Linear, macs: int, itemsize: int) -> float:
        """Count a layer that has so many MACs."""
        return macs if self.kind == "macs" else self.whole(layer, (), itemsize)

    def whole(self, layer: Linear, sizes: tuple[int, ...], itemsize: int) -> float:
        """Count a layer in the unit of :meth:`form`: of a product, for one row."""
        weights = layer.groups * layer.fan_in * layer.fan_out
        if self.kind == "macs":
            return weights * (layer.geometry.positions(sizes) if layer.geometry is not None else 1)
        return weights * (itemsize if self.kind == "bytes" else 1)

    def form(self, form: Form, layer: Linear, sizes: tuple[int, ...], itemsize: int) -> float:
        """Count what stands in a layer's place when it takes a form."""
        if self.kind == "macs":
            return form.macs(layer, sizes)
        if self.kind == "params":
            return form.parameters(layer)
        beside = form.indices(layer) * _INDEX if isinstance(form, Indexed) else 0
        return form.parameters(layer) * itemsize + beside
