"""Where channels end: every place that sums over them."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ...ir.graph import Array, Graph, Node
from ..analysis.channels.groups import Channels
from ..analysis.channels.labels import FIXED, Labels
from .layer import Layer, layer_of


@dataclass(frozen=True)
class End:
    """One place. ``layer`` is None where no stored weight multiplies the channels one by one.

    ``classes``: (inputs,) the class of every input channel of the layer.
    """

    node: Node
    operand: int
    labels: Labels
    layer: Layer | None
    classes: Array


def ends(graph: Graph, channels: Channels, sighted: bool = False) -> Iterator[End]:
    """Yield every contraction of the analysis; ``sighted`` as of :func:`.layer.layer_of`."""
    nodes = {node.name: node for node in graph.nodes}
    for end in channels.context.contractions:
        node, atoms = nodes[end.node], end.labels.atoms
        layer = layer_of(graph, node, sighted)
        usable = layer is not None and layer.operand == end.operand and atoms.ndim >= -layer.axis_in
        if layer is None or not usable or atoms.size != atoms.shape[layer.axis_in]:
            yield End(node, end.operand, end.labels, None, np.zeros(0, np.int64))
        else:
            classes = np.broadcast_to(atoms.ravel(), (layer.inputs,))
            yield End(node, end.operand, end.labels, layer, classes)


def no_classes(channels: Channels) -> Array:
    """Return a bool array, one a class id, all False."""
    return np.zeros(max(channels.context.registry_size(), FIXED + 1), bool)
