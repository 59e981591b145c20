"""Nodes that scale and shift channels by stored numbers: BatchNormalization, Mul, Div, Add, Sub."""

from dataclasses import dataclass

import numpy as np

from ...ir.graph import Array, Graph, Node, Tensor
from .layer import own, vector

AFFINE = {"Add", "BatchNormalization", "Div", "Mul", "Sub"}


@dataclass(frozen=True)
class Axis:
    """A channel axis, counted from the back, its length, and the rank of the tensor where it is known."""

    place: int
    size: int
    rank: int | None


def affine(graph: Graph, node: Node, source: Tensor, axis: Axis) -> tuple[Array, Array] | None:
    """Return scale and shift (float64, one a channel) if the node computes ``scale * source + shift``, else None."""
    if node.domain or node.op not in AFFINE:
        return None
    if node.op == "BatchNormalization":
        known = inference_norm(graph, node)
        if known is None or axis.rank is None or axis.place != 1 - axis.rank or len(known[0]) != axis.size:
            return None
        return known
    first = node.inputs[0] == source
    other = vector(node.inputs[1 if first else 0], axis.place, axis.size, axis.rank)
    if other is None:
        return None
    ones, zeros = np.ones(axis.size), np.zeros(axis.size)
    if node.op == "Mul":
        return other, zeros
    if node.op == "Add":
        return ones, other
    if node.op == "Sub":
        return (ones, -other) if first else (-ones, other)
    return (1 / other, zeros) if first and other.all() else None


def inference_norm(graph: Graph, node: Node) -> tuple[Array, Array] | None:
    """Return scale and shift of a BatchNormalization with stored statistics; None in training mode or otherwise."""
    opset = graph.opset
    trains = node.attribute("training_mode", opset, 0) or any(tensor.name for tensor in node.outputs[1:])
    if trains or not node.attribute("spatial", opset, 1) or not all(t.is_constant for t in node.inputs[1:5]):
        return None
    gamma, beta, mean, variance = (t.array.astype(np.float64) for t in node.inputs[1:5])
    spread = variance + float(node.attribute("epsilon", opset, 1e-5))
    if not (spread > 0).all():
        return None
    scale = gamma / np.sqrt(spread)
    return scale, beta - mean * scale


def rescale_norm(graph: Graph, node: Node, scale: Array, shift: Array) -> None:
    """Let a BatchNormalization scale and shift its output further."""
    for index, factor, added in ((1, scale, 0.0), (2, scale, shift)):
        old = node.inputs[index].array
        own(graph, node, index, (old.astype(np.float64) * factor + added).astype(old.dtype))


def source_of(node: Node) -> Tensor | None:
    """Return the activation that an affine node reads, None when it has two or none."""
    if node.op == "BatchNormalization":
        return node.inputs[0]
    live = [tensor for tensor in node.inputs if not tensor.is_constant]
    return live[0] if len(live) == 1 else None
