"""Rewrite computed shapes as stored ones where the model's symbols allow it."""

from collections.abc import Sequence

import numpy as np

from ...ir.graph import Dim, Graph, Node
from ...ir.shapes import symbolic
from .filled import write_filled
from .shape_values import Known, shape_values


def fold_shapes(graph: Graph) -> int:
    """Store every known shape computation, the targets of Reshape and Expand, and what is filled with one number.

    Returns how many tensors.

    A symbolic batch stays symbolic: the model gives the same outputs for every input size.
    """
    if not any(node.op in ("Shape", "Size") for node in graph.nodes):
        return 0
    shapes = symbolic(graph)
    values = shape_values(graph, shapes)
    count = _store_complete(graph, values)
    for node in graph.nodes:
        if node.op in ("Reshape", "Expand") and not node.domain and not node.inputs[1].is_constant:
            count += _store_target(graph, node, shapes.get(node.inputs[0].name), values.get(node.inputs[1].name))
    count = count or write_filled(graph, shapes, values)
    graph.clean()
    return count


def _store_complete(graph: Graph, values: dict[str, Known]) -> int:
    count = 0
    for node in graph.nodes:
        for tensor in node.outputs:
            value = values.get(tensor.name)
            if value is not None and value.complete and tensor.consumers and not graph.is_output(tensor):
                graph.make_constant(tensor, value.array())
                count += 1
    return count


def _store_target(graph: Graph, node: Node, dims: Sequence[Dim] | None, value: Known | None) -> int:
    if value is None or dims is None:
        return 0
    entries = value.entries.tolist()
    if node.op == "Expand":
        target = expand_target(entries, dims)
    else:
        target = reshape_target(entries, dims, bool(node.attribute("allowzero", graph.opset, 0)))
    if target is None:
        return 0
    node.set_input(1, graph.constant(f"{node.name}_shape", np.asarray(target, np.int64)))
    return 1


def reshape_target(entries: Sequence[Dim], dims: Sequence[Dim], allow_zero: bool = False) -> list[int] | None:
    """Return a stored Reshape target that equals ``entries`` for every input of shape ``dims``, None if there is none.

    One unknown entry becomes -1. With several, or next to a -1, those that equal the input's dimension at the same
    place become 0, and one may remain.
    """
    unknown = [place for place, entry in enumerate(entries) if not isinstance(entry, int)]
    inferred = -1 in entries
    if allow_zero and 0 in entries:
        return None
    if len(unknown) > (0 if inferred else 1) and not allow_zero:
        copied = [p for p in unknown if p < len(dims) and isinstance(dims[p], str) and dims[p] == entries[p]]
    else:
        copied = []
    left = [place for place in unknown if place not in copied]
    if len(left) > (0 if inferred else 1):
        return None
    return [0 if p in copied else -1 if p in left else int(entry or 0) for p, entry in enumerate(entries)]


def expand_target(entries: Sequence[Dim], dims: Sequence[Dim]) -> list[int] | None:
    """Return a stored Expand target: unknown entries must equal the input's dimension there, and become 1."""
    skipped = len(entries) - len(dims)
    target = []
    for place, entry in enumerate(entries):
        own = dims[place - skipped] if place >= skipped else None
        if not isinstance(entry, int) and (own is None or own != entry):
            return None
        target.append(entry if isinstance(entry, int) else 1)
    return target
