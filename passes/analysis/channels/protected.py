"""Which channels a user means to keep."""

import re
from collections.abc import Iterator

from ....ir.errors import UsageError
from ....ir.graph import Graph, Node, Tensor
from ..layers.linear import is_stored


def held_tensors(graph: Graph, pattern: str, types: str, given: Graph | None = None) -> list[str]:
    """Name the tensors whose channels stay: outputs of the operators in ``types``, separated by ``|``, and all that
    ``pattern`` means (none when empty); in the graph, or in the model as it was ``given``, where nodes may have stood
    that exact passes have folded.

    Raises UsageError for a pattern or an operator that occurs in neither.
    """
    known = [graph] if given is None else [given, graph]
    operators = set(filter(None, types.split("|")))
    there = {node.op for each in known for node in each.nodes}
    if missing := sorted(operators - there):
        hint = f"the model has {', '.join(sorted(there))}"
        raise UsageError(f"--keep-types '{missing[0]}' matches no node", hint=hint)
    named = [tensor for each in known for tensor in meant(each, pattern)] if pattern else []
    if pattern and not named:
        raise UsageError(f"--keep-nodes '{pattern}' matches no node and no tensor", hint="analyse lists their names")
    outputs = [t for each in known for node in each.nodes if node.op in operators for t in node.outputs if t.name]
    left = graph.tensors()
    return list(dict.fromkeys(tensor.name for tensor in (*outputs, *named) if tensor.name in left))


def meant(graph: Graph, pattern: str) -> list[Tensor]:
    """Return the tensors whose channels stay: those that a regular expression finds by name, and the outputs of nodes
    that it finds by their own name or by that of a stored operand.

    Raises UsageError for what is no regular expression.
    """
    try:
        finds = re.compile(pattern).search
    except re.error as error:
        raise UsageError(f"--keep-nodes '{pattern}' is no regular expression", why=str(error)) from error
    found = [tensor for tensor in graph.inputs if finds(tensor.name)]
    for node in graph.nodes:
        whole = any(finds(name) for name in (node.name, *_operands(node)))
        found += [tensor for tensor in node.outputs if tensor.name and (whole or finds(tensor.name))]
    return found


def _operands(node: Node) -> Iterator[str]:
    """Name a node's stored operands, and what they are seen through."""
    for tensor in node.inputs:
        if tensor.name and is_stored(tensor):
            yield tensor.name
            if tensor.producer is not None:
                yield from (tensor.producer.name, *_operands(tensor.producer))
