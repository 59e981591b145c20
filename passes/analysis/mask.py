"""The oracle's other half: the original graph with removed channels multiplied by zero where they end."""

from collections.abc import Mapping

import numpy as np

from ...ir.graph import Array, Graph
from .channels import Channels
from .removal import keep_mask


def masked(graph: Graph, channels: Channels, kept: Mapping[str, Array]) -> Graph:
    """Return a copy of ``graph`` in which every contraction reads zeros in place of the channels that do not stay."""
    keep = keep_mask(channels, kept)
    copy = graph.copy()
    nodes = {node.name: node for node in copy.nodes}
    for end in channels.context.contractions:
        mask = keep[end.labels.atoms]
        if mask.all():
            continue
        node = nodes[end.node]
        source = node.inputs[end.operand]
        zeros = copy.constant(f"{node.name}_mask", mask.astype(np.dtype(source.dtype or np.float32)))
        product = copy.variable(f"{node.name}_masked", source.dtype)
        copy.insert("Mul", [source, zeros], [product], before=node)
        node.set_input(end.operand, product)
    return copy
