"""Grouped convolutions whose groups read the same values, as ordinary ones.

Groups keep equally many channels each, so they carry copies of one value: an ordinary convolution needs one.
"""

from collections.abc import Sequence

import numpy as np

from ...ir.graph import Graph
from .layer import Layer, layer_of, own
from .numbering import Numbering


def repeated(graph: Graph, numbering: Numbering) -> list[str]:
    """Return the grouped convolutions that read no more values, up to factors, than one of their groups has inputs."""
    layers = [layer_of(graph, node) for node in graph.nodes]
    grouped = [layer for layer in layers if layer is not None and 1 < layer.groups < layer.inputs]
    return [layer.node.name for layer in grouped if _values(layer, numbering) * layer.groups <= layer.inputs]


def _values(layer: Layer, numbering: Numbering) -> int:
    return len(np.unique(numbering.along(layer.source, layer.axis_in).number))


def ungroup(graph: Graph, names: Sequence[str]) -> None:
    """Let these convolutions have one group, with zeros for what the others read. Their weights grow by the groups."""
    for name in names:
        layer = layer_of(graph, graph.node(name))
        assert layer is not None
        stored = layer.weight.array
        groups, rows, columns, taps = layer.matrix.shape
        dense = np.zeros((groups, rows, groups, columns, taps), stored.dtype)
        dense[np.arange(groups), :, np.arange(groups)] = layer.matrix
        dense = dense.reshape(groups * rows, groups * columns, taps)
        arranged = dense.swapaxes(0, 1) if layer.inputs_first else dense
        own(graph, layer.node, 1, arranged.reshape(*arranged.shape[:2], *stored.shape[2:]))
        layer.node.set_attribute("group", 1)
