"""Which tensors of a graph hold their channels in blocks, from operator to operator."""

from __future__ import annotations

from collections.abc import Set

from ...ir.arguments import axis
from ...ir.graph import Graph, Node, Tensor
from ..analysis.channels.rules.table import ELEMENTWISE, UNARY

DOMAIN = "com.microsoft.nchwc"
"""The domain of onnxruntime's operators on blocks."""
_UNITS = ("com.microsoft.Gelu", "com.microsoft.FastGelu", "com.microsoft.QuickGelu")
_KEEPING = frozenset({*ELEMENTWISE, *UNARY, *_UNITS})
_RANK = 4


def views(graph: Graph) -> list[Node] | None:
    """Return the Reshapes that only show blocks as an axis of their own, or take that back.

    On plain channels they are not there. None where another operator reads blocks whose result their order changes.
    """
    blocked, apart = set[str](), set[str]()
    found = []
    for node in graph.nodes:
        if node.domain == DOMAIN:
            blocked |= set() if node.op == "ReorderOutput" else {tensor.name for tensor in node.outputs}
            continue
        read = {tensor.name for tensor in (*node.inputs, *node.captures())}
        if not read & (blocked | apart):
            continue
        if node.op == "Reshape" and not node.domain and _turns(node, node.inputs[0].name in apart):
            (blocked if node.inputs[0].name in apart else apart).add(node.outputs[0].name)
            found.append(node)
        elif _alike(graph, node, blocked):
            blocked.add(node.outputs[0].name)
        elif _alike(graph, node, apart):
            apart.add(node.outputs[0].name)
        else:
            return None
    return found


def _turns(node: Node, back: bool) -> bool:
    """Whether a Reshape gives blocks an axis of their own, behind the pixels, or takes them ``back``."""
    if not node.inputs[1].is_constant:
        return False
    target = node.inputs[1].array.tolist()
    pixels = target[2:4] == [0, 0] and target[:1] == [0]
    return pixels and len(target) == (_RANK if back else _RANK + 1)


def _alike(graph: Graph, node: Node, among: Set[str]) -> bool:
    """Whether a node treats every entry alike: its operands lie as those ``among``, or are one number."""
    joined = node.op == "Concat" and axis(node, graph.opset, _RANK) == 1
    if node.has_subgraphs or not (joined or node.qualified in _KEEPING):
        return False
    return all(tensor.name in among or (not joined and _is_number(tensor)) for tensor in node.inputs if tensor.name)


def _is_number(tensor: Tensor) -> bool:
    return tensor.is_constant and tensor.array.size == 1
