"""Activations: the numbers that layers write for one sample, which training keeps and which memory traffic goes by.

Counted are the outputs of every node that multiplies and accumulates, so a channel of a convolution takes as many as
its map has positions. This is the memory of Liu, Zhang, Kuang et al., "Group Fisher pruning for practical network
compression", ICML 2021, arXiv 2108.00708.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

from ....ir.cost import all_shapes, macs
from ....ir.graph import Graph, Tensor
from ....ir.quantity import COUNTS
from ....ir.shapes import Shape
from ..channels.groups import Channels
from .meters import Counted
from .products import Counter, Product
from .sums import refuse_unknown


@dataclass(frozen=True)
class Activations(Counted):
    """Counts elements, see the module."""

    def of(self, graph: Graph) -> float:
        """Count a whole graph. Raises UnsupportedOpError where it is not known of a node whether it is a layer."""
        refuse_unknown(graph, all_shapes(graph))
        return float(sum(prod(shape) for _, shape in _written(graph)))

    def products(self, graph: Graph, channels: Channels) -> list[Product]:
        """Write elements over widths of groups: a sum of widths, each times its positions."""
        counter, labels = Counter.of(channels), channels.context.labels
        return [
            counter.product(prod(shape), [labels[tensor.name]] if tensor.name in labels else [])
            for tensor, shape in _written(graph)
        ]


ACTIVATIONS = Activations("activations", "elements", COUNTS)


def _written(graph: Graph) -> Iterator[tuple[Tensor, Shape]]:
    """Yield what layers write, for one sample."""
    needed = graph.copy()
    needed.clean()
    shapes = all_shapes(needed)
    for node in needed.nodes:
        if macs(node, shapes, graph.opset) and node.outputs[0].name in shapes:
            yield node.outputs[0], shapes[node.outputs[0].name]
