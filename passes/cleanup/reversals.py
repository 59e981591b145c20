"""ReverseSequence of whole sequences, as tf2onnx writes every reversal: a Slice backwards, which moves no channels."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ...ir.graph import Graph, Node, Tensor
from ...ir.shapes import symbolic
from .sequences import hand_on
from .shape_values import Known, known, shape_values

_BEFORE_ALL = -(2**31)  # where a Slice that goes backwards ends


def write_reversals(graph: Graph) -> int:
    """Write as a Slice every ReverseSequence that is told to reverse all steps of all samples; return how many."""
    found = [node for node in graph.nodes if node.op == "ReverseSequence" and not node.domain]
    shapes = symbolic(graph) if found else {}
    values = shape_values(graph, shapes) if found else {}
    whole = []
    for node in found:
        axis = int(node.attribute("time_axis", graph.opset, 0))
        steps, lengths = shapes.get(node.inputs[0].name, {axis: None})[axis], _lengths(node.inputs[1], values)
        if steps is not None and lengths is not None and all(length == steps for length in lengths.entries.flat):
            whole.append((node, axis))
    for node, axis in whole:
        hand_on(graph, node, turned(graph, node, node.inputs[0], axis))
    return len(whole)


def turned(graph: Graph, node: Node, x: Tensor, axis: int) -> Tensor:
    """Return ``x`` in reverse along an axis, in front of a node."""
    out = graph.variable(f"{x.name}_reversed", x.dtype)
    numbers = (-1, _BEFORE_ALL, axis, -1)
    places = [graph.constant(f"{node.name}_places", np.asarray([number], np.int64)) for number in numbers]
    graph.insert("Slice", [x, *places], [out], before=node)
    return out


def _lengths(tensor: Tensor, values: Mapping[str, Known]) -> Known | None:
    """Return the numbers that lengths are made of: one may be spread to a batch of open size."""
    producer = tensor.producer
    if producer is not None and producer.op == "Expand" and not producer.domain:
        return _lengths(producer.inputs[0], values)
    return known(tensor.array) if tensor.is_constant else values.get(tensor.name)
