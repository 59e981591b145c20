"""Initial states of recurrent layers that are zero at every size: left out, which says the same."""

from ...ir.graph import Graph, Node, Tensor
from ..analysis.channels.rules.recurrent import GATES

_STATES = (5, 6)
_MOVES = ("Expand", "Identity", "Reshape", "Slice", "Squeeze", "Tile", "Transpose", "Unsqueeze")


def drop_zero_states(graph: Graph) -> int:
    """Leave such states out; return how many."""
    return sum(_dropped(node) for node in graph.every_node() if not node.domain and node.op in GATES)


def _dropped(node: Node) -> int:
    given = [place for place in _STATES if place < len(node.inputs) and node.inputs[place].name]
    zero = [place for place in given if is_zero(node.inputs[place])]
    for place in reversed(zero):
        node.omit_input(place)
    return len(zero)


def is_zero(tensor: Tensor) -> bool:
    """Whether all entries are zero, stored or spread to a computed shape."""
    if tensor.is_constant:
        return not tensor.array.any()
    producer = tensor.producer
    if producer is None or producer.domain:
        return False
    if producer.op == "ConstantOfShape":
        return "value" not in producer.attributes or not producer.attributes["value"].any()
    return producer.op in _MOVES and is_zero(producer.inputs[0])
