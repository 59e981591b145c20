"""Nodes that read stored values only, such as the DequantizeLinear of a weight, and the layers that read them."""

from __future__ import annotations

from collections.abc import Sequence

from .graph import Graph, Node


def stored_nodes(graph: Graph) -> set[str]:
    """Name the nodes that read stored values only, or what such nodes make."""
    found: set[str] = set()
    for node in graph.nodes:
        if all(t.is_constant or (t.producer is not None and t.producer.name in found) for t in node.inputs if t.name):
            found.add(node.name)
    return found


def makers(graph: Graph, layers: Sequence[Node]) -> dict[str, list[str]]:
    """Name for each layer the stored nodes behind what it reads; one that several read counts at the first."""
    left, found = stored_nodes(graph), dict[str, list[str]]()
    for layer in layers:
        waiting, own = [layer], found.setdefault(layer.name, [])
        while waiting:
            sources = [t.producer for t in waiting.pop().inputs if t.producer is not None]
            fresh = [source for source in sources if source.name in left]
            left -= {source.name for source in fresh}
            own += [source.name for source in fresh]
            waiting += fresh
    return found
