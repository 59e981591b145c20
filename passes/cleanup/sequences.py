"""Sequences whose elements are known, as ``chunk``, ``split`` and lists are exported: written as Split and Concat."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ...ir.arguments import axis as axis_of
from ...ir.graph import Dim, Graph, Node, Tensor
from ...ir.shapes import symbolic

Known = dict[str, list[Tensor]]

_AXES_AS_INPUT = 13  # the operator set since which Split, Squeeze and Unsqueeze take lists as inputs


def unroll_sequences(graph: Graph) -> int:
    """Let what reads an element or joins a whole sequence read tensors; return how many sequence operators went.

    Sequences of unknown length, and those that leave the model or enter a subgraph, stay.
    """
    if not _sequence_operators(graph):
        return 0
    before, shapes, known = _sequence_operators(graph), symbolic(graph), Known()
    for node in graph.nodes:
        if not node.domain and _contained(graph, node):
            _unroll(graph, node, known, shapes)
    graph.clean()
    return before - _sequence_operators(graph)


def _sequence_operators(graph: Graph) -> int:
    return sum("Sequence" in node.op for node in graph.nodes)


def _contained(graph: Graph, node: Node) -> bool:
    """Whether all readers stand in the graph itself, for a node that makes a sequence."""
    outer = set(graph.nodes)
    return not any(reader not in outer for tensor in node.outputs for reader in tensor.consumers)


def _unroll(graph: Graph, node: Node, known: Known, shapes: Mapping[str, tuple[Dim, ...]]) -> None:
    out = node.outputs[0]
    if node.op == "SplitToSequence":
        pieces = _split(graph, node, shapes)
        if pieces is not None:
            known[out.name] = pieces
        return
    source = None if node.op == "SequenceEmpty" or not node.inputs else known.get(node.inputs[0].name)
    if node.op == "SequenceEmpty":
        known[out.name] = []
    elif node.op == "SequenceConstruct":
        known[out.name] = node.inputs
    elif source is None:
        return
    elif node.op == "Identity":
        known[out.name] = source
    elif node.op in ("SequenceInsert", "SequenceErase"):
        _edit(node, source, known)
    elif node.op == "SequenceAt" and (place := _place(node, 1)) is not None and -len(source) <= place < len(source):
        hand_on(graph, node, source[place])
    elif node.op == "SequenceLength" and not graph.is_output(out):
        graph.make_constant(out, np.asarray(len(source), np.int64))
    elif node.op == "ConcatFromSequence" and source:
        _join(graph, node, source, shapes)


def _place(node: Node, index: int) -> int | None:
    """Return a stored position, None where it is computed."""
    tensor = node.inputs[index]
    return int(tensor.array.ravel()[0]) if tensor.is_constant else None


def _edit(node: Node, source: list[Tensor], known: Known) -> None:
    changed = list(source)
    index = 2 if node.op == "SequenceInsert" else 1
    given = len(node.inputs) > index and bool(node.inputs[index].name)
    place = _place(node, index) if given else (len(source) if node.op == "SequenceInsert" else -1)
    if place is None or (node.op == "SequenceErase" and not source):
        return
    if node.op == "SequenceInsert":
        changed.insert(place, node.inputs[1])
    else:
        del changed[place]
    known[node.outputs[0].name] = changed


def hand_on(graph: Graph, node: Node, element: Tensor) -> None:
    """Let readers of what a node makes read another tensor instead; the node goes."""
    out = node.outputs[0]
    if graph.is_output(out):
        graph.insert("Identity", [element], [out], before=node)
    else:
        graph.replace_uses(out, element)
    graph.remove(node)


def _split(graph: Graph, node: Node, shapes: Mapping[str, tuple[Dim, ...]]) -> list[Tensor] | None:
    """Put a Split beside a SplitToSequence; None where the lengths of the pieces are unknown."""
    x = node.inputs[0]
    dims = shapes.get(x.name)
    if dims is None:
        return None
    axis = axis_of(node, graph.opset, len(dims)) if "axis" in node.attributes else 0
    lengths = _lengths(node, dims[axis])
    if not lengths:
        return None
    pieces = [graph.variable(f"{node.outputs[0].name}_{place}", x.dtype) for place in range(len(lengths))]
    inputs, options = [x], {"axis": axis}
    if graph.opset >= _AXES_AS_INPUT:
        inputs.append(graph.constant(f"{node.name}_split", np.asarray(lengths, np.int64)))
        graph.insert("Split", inputs, pieces, options, before=node)
    else:
        graph.insert("Split", inputs, pieces, {**options, "split": lengths}, before=node)
    whole = len(node.inputs) > 1 and bool(node.inputs[1].name)
    if whole or node.attribute("keepdims", graph.opset, 1):
        return pieces
    return [ranked(graph, node, "Squeeze", piece, axis) for piece in pieces]


def _lengths(node: Node, size: Dim) -> list[int]:
    """Return how long every piece is; nothing where that is unknown."""
    if len(node.inputs) < 2 or not node.inputs[1].name:
        return [1] * size if isinstance(size, int) else []
    if not node.inputs[1].is_constant:
        return []
    stored = node.inputs[1].array
    if stored.ndim:
        return [int(length) for length in stored]
    step = int(stored)
    if not isinstance(size, int) or step < 1:
        return []
    return [min(step, size - start) for start in range(0, size, step)]


def ranked(graph: Graph, node: Node, op: str, tensor: Tensor, axis: int) -> Tensor:
    """Squeeze or Unsqueeze one axis."""
    out = graph.variable(f"{tensor.name}_{op}", tensor.dtype)
    if graph.opset >= _AXES_AS_INPUT:
        axes = graph.constant(f"{node.name}_axes", np.asarray([axis], np.int64))
        graph.insert(op, [tensor, axes], [out], before=node)
    else:
        graph.insert(op, [tensor], [out], {"axes": [axis]}, before=node)
    return out


def _join(graph: Graph, node: Node, source: list[Tensor], shapes: Mapping[str, tuple[Dim, ...]]) -> None:
    """Put a Concat in place of a ConcatFromSequence."""
    axis, parts = int(node.attribute("axis", graph.opset)), source
    if node.attribute("new_axis", graph.opset, 0):
        dims = [shapes.get(part.name) for part in source]
        if axis < 0 and any(dim is None for dim in dims):
            return
        place = axis if axis >= 0 else axis + len(dims[0] or ()) + 1
        parts = [ranked(graph, node, "Unsqueeze", part, place) for part in source]
        axis = place
    out = node.outputs
    graph.insert("Concat", parts, out, {"axis": axis}, before=node)
    graph.remove(node)
