"""Softmax, as one node or as exporters spell it: exponentials divided by their sum."""

from __future__ import annotations

from ....ir.arguments import reduced_axes, softmax_axes
from ....ir.graph import Graph, Node, Tensor

_SPREADING = frozenset({"Expand", "Identity", "Reshape", "Unsqueeze"})


def softened(graph: Graph, node: Node, rank: int) -> tuple[Tensor, int] | None:
    """Return the scores whose softmax a node of ``rank`` axes gives, and the one axis that it works along, else None.

    What was subtracted before the exponential stays subtracted: a softmax does not see it.
    """
    if node.domain:
        return None
    if node.op == "Softmax":
        along = softmax_axes(node, graph.opset, rank)
        return (node.inputs[0], along[0]) if len(along) == 1 else None
    return _spelt(graph, node, rank) if node.op == "Div" else None


def _spelt(graph: Graph, node: Node, rank: int) -> tuple[Tensor, int] | None:
    powers, total = node.inputs[0], node.inputs[1].producer
    made = powers.producer
    while total is not None and total.op in _SPREADING and not total.domain:
        total = total.inputs[0].producer
    if made is None or made.op != "Exp" or total is None or total.op != "ReduceSum" or total.inputs[0] != powers:
        return None
    along = reduced_axes(total, graph.opset, rank)
    return (made.inputs[0], along[0]) if along is not None and len(along) == 1 else None
