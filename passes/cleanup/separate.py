"""Vectors that are seen through a Cast or DequantizeLinear by several nodes: each gets that node of its own.

The stored vector stays one, until its readers lose different channels.
"""

from __future__ import annotations

from ...ir.graph import Graph, Node, Tensor
from ..analysis.channels.labels import VECTOR


def separate_vectors(graph: Graph) -> int:
    """Copy such nodes; return how many copies were made."""
    return sum(_copies(graph, node) for node in graph.nodes if _is_vector(node))


def _is_vector(node: Node) -> bool:
    if node.domain or node.op not in ("Cast", "DequantizeLinear") or not node.inputs[0].is_constant:
        return False
    stored = node.inputs[0].array
    return 1 < stored.size == max(stored.shape, default=1) <= VECTOR


def _copies(graph: Graph, node: Node) -> int:
    out = node.outputs[0]
    readers = list(dict.fromkeys(out.consumers))
    if len(readers) < 2 or graph.is_output(out) or not set(readers) <= set(graph.nodes):
        return 0
    for reader in readers[1:]:
        copy = graph.variable(out.name, out.dtype)
        graph.insert(node.op, node.inputs, [copy], node.attributes, before=reader)
        reader.set_inputs([_instead(tensor, out, copy) for tensor in reader.inputs])
    return len(readers) - 1


def _instead(tensor: Tensor, old: Tensor, new: Tensor) -> Tensor:
    return new if tensor == old else tensor
