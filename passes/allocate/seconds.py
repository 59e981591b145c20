"""Time as what a target counts: per layer in proportion to its MACs, each layer at its own pace."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from ...ir.graph import Array, Graph
from ...ir.timing import Timer
from ..analysis.channels.groups import Channels
from ..analysis.costs.products import Count, Product
from ..analysis.costs.sums import MACS
from ..analysis.layers.forms import Form
from ..analysis.layers.linear import Linear


@dataclass(frozen=True)
class Seconds:
    """Counts seconds of one run: of a whole graph as ``timer`` tells them, of layers by their MACs.

    ``rates``: seconds a MAC in the unpruned network, by the node's name; ``rate``: where that is not known.
    ``paces``: how many times slower than its layer a form does a MAC, by node and kind of form: at the shares of the
    layer's MACs that were timed, ascending.
    """

    timer: Timer
    rate: float
    rates: Mapping[str, float] = field(default_factory=dict)
    paces: Mapping[tuple[str, str], tuple[Array, Array]] = field(default_factory=dict)

    def of(self, graph: Graph) -> float:
        """Time a whole graph."""
        return self.timer.times([graph])[0]

    def products(self, graph: Graph, channels: Channels) -> list[Product]:
        """Write the time of the graph that was analysed as products over widths, and a rest that no width changes."""
        everything = np.array([group.width for group in channels.groups], np.float64)
        one = Count(1.0, np.zeros(len(everything)))
        found = [
            Product(each.factor * self._rate(each.layer), each.left, each.right, each.layer)
            for each in MACS.products(graph, channels)
        ]
        told = sum(each.factor * each.left.at(everything) * each.right.at(everything) for each in found)
        return [*found, Product(max(self.of(graph) - told, 0.0), one, one)]

    def later(self, _graph: Graph, _channels: Channels) -> list[Product]:
        """Return nothing: a bias is added while a layer's results are at hand."""
        return []

    def layer(self, layer: Linear, macs: int, _itemsize: int) -> float:
        """Return the seconds of a layer that has so many MACs."""
        return self._rate(layer.node) * macs

    def whole(self, layer: Linear, sizes: tuple[int, ...], itemsize: int) -> float:
        """Return a layer's MACs: what the paces of its forms are relative to."""
        return MACS.whole(layer, sizes, itemsize)

    def form(self, form: Form, layer: Linear, sizes: tuple[int, ...], itemsize: int) -> float:
        """Return a form's MACs, times how many times slower than the layer it does one."""
        count = MACS.form(form, layer, sizes, itemsize)
        if (layer.node, form.kind) not in self.paces:
            return count
        shares, pace = self.paces[layer.node, form.kind]
        return count * float(np.interp(count / MACS.whole(layer, sizes, itemsize), shares, pace))

    def _rate(self, layer: str) -> float:
        return self.rates.get(layer, self.rate)
