"""The ends of blocks: inner tensors that all of an output depends through, and that layers read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import networkx as nx
import numpy as np

from ....ir.graph import Graph, Tensor
from ...analysis.channels.labels import WEIGHTED

_SOURCE = ""


def block_ends(graph: Graph) -> list[str]:
    """Name, in order, the computed tensors without which some output does not depend on any input.

    Those that one activation, pool or other node without weights reads alone are left out: what it makes of them says
    as much. They are the dominators of the outputs in the graph of tensors and nodes.
    """
    flow: nx.DiGraph[str] = nx.DiGraph()
    for tensor in graph.inputs:
        flow.add_edge(_SOURCE, f"t{tensor.name}")
    for node in graph.nodes:
        reads = [t for t in (*node.inputs, *node.captures()) if t.name and not t.is_constant]
        flow.add_edges_from((f"t{tensor.name}", f"n{node.name}") for tensor in reads)
        flow.add_edges_from((f"n{node.name}", f"t{tensor.name}") for tensor in node.outputs)
    before = nx.immediate_dominators(flow, _SOURCE)
    cuts = {place for output in graph.outputs for place in _up(before, f"t{output.name}")}
    return [t.name for node in graph.nodes for t in node.outputs if f"t{t.name}" in cuts and _is_read_by_layers(t)]


def _up(before: Mapping[str, str], place: str) -> Iterator[str]:
    """Yield what dominates a place, from the nearest on."""
    while place in before and before[place] not in (place, _SOURCE):
        place = before[place]
        yield place


def _is_read_by_layers(tensor: Tensor) -> bool:
    """Whether layers or several nodes read a tensor of float32."""
    if tensor.dtype != np.float32:
        return False
    readers = tensor.consumers
    return len(readers) > 1 or any(reader.op in WEIGHTED for reader in readers)
