"""What a cost target counts: of a whole graph, of one layer, and of the forms that it may take."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import NoReturn, Protocol

from ....ir.errors import UsageError
from ....ir.graph import Graph
from ....ir.quantity import Quantity
from ..channels.groups import Channels
from ..layers.forms import Form
from ..layers.linear import Linear
from .products import Product
from .steps import Steps


class Meter(Protocol):
    """``layer`` and ``sizes`` in the methods: a layer and the spatial sizes of its input, () for a product;
    ``itemsize``: bytes of one weight.
    """

    def of(self, graph: Graph) -> float:
        """Count a whole graph, for one sample."""

    def products(self, graph: Graph, channels: Channels) -> list[Product] | Steps:
        """Write the cost of the graph that was analysed over the widths of its groups, a sum or the largest of some."""

    def later(self, graph: Graph, channels: Channels) -> list[Product]:
        """Write what biases will cost that solving its layers anew would add."""

    def layer(self, layer: Linear, macs: int, itemsize: int) -> float:
        """Count a layer that has so many MACs."""

    def whole(self, layer: Linear, sizes: tuple[int, ...], itemsize: int) -> float:
        """Count a layer in the unit of :meth:`form`: of a product, for one row."""

    def form(self, form: Form, layer: Linear, sizes: tuple[int, ...], itemsize: int) -> float:
        """Count what stands in a layer's place when it takes a form."""


@dataclass(frozen=True)
class Counted(Quantity, ABC):
    """A quantity that is counted from the graph, a :class:`Meter`. Forms need to know the share of each layer: where
    there is no such thing, the last three methods raise UsageError, as they do here.
    """

    @abstractmethod
    def of(self, graph: Graph) -> float:
        """Count a whole graph, for one sample."""

    @abstractmethod
    def products(self, graph: Graph, channels: Channels) -> list[Product] | Steps:
        """Write the cost of the graph that was analysed over the widths of its groups, a sum or the largest of some.

        It may be off: the allocator tightens its aim until :meth:`of` the rewritten graph meets the target.
        """

    def later(self, _graph: Graph, _channels: Channels) -> list[Product]:
        """Write what biases will cost that solving its layers anew would add: nothing."""
        return []

    def layer(self, _layer: Linear, _macs: int, _itemsize: int) -> float:
        """Count a layer that has so many MACs."""
        self._refuse()

    def whole(self, _layer: Linear, _sizes: tuple[int, ...], _itemsize: int) -> float:
        """Count a layer in the unit of :meth:`form`: of a product, for one row."""
        self._refuse()

    def form(self, _form: Form, _layer: Linear, _sizes: tuple[int, ...], _itemsize: int) -> float:
        """Count what stands in a layer's place when it takes a form."""
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise UsageError(f"forms cannot be weighed in {self.name}", hint="leave out the forms")
