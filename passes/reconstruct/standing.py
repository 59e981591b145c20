"""Which layers still stand as in the reference, so that their weights are what is left of the reference's."""

from collections.abc import Container

from ...ir.graph import Graph, Node


def standing(graph: Graph, reference: Graph, formed: Container[str]) -> set[str]:
    """Name the nodes that lie between the same tensors in both graphs, but for those that have taken another form.

    Others compute something else: an exact pass has folded a neighbour into them.
    """
    nodes = {node.name: node for node in graph.nodes}
    return {
        node.name
        for node in reference.nodes
        if node.name in nodes and node.name not in formed and _ends(nodes[node.name]) == _ends(node)
    }


def _ends(node: Node) -> tuple[str, list[str], list[str]]:
    computed = [tensor.name for tensor in node.inputs if tensor.name and not tensor.is_constant]
    return node.op, computed, [tensor.name for tensor in node.outputs]
