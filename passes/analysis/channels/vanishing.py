"""Tensors that lose every channel: they, and what makes them, go where only concatenations read them."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np

from ....ir.arguments import axis as axis_of
from ....ir.graph import Array, Graph, Node
from .labels import Propagation

if TYPE_CHECKING:
    from .groups import Channels


def may_vanish(channels: Channels, classes: Array) -> bool:
    """Whether all of these classes, which make up some tensor, may go at once. Time: linear in the nodes."""
    context = channels.context
    gone = np.zeros(context.registry_size(), bool)
    gone[classes] = True
    if any(gone[blocks].any() for blocks in context.equal_counts):
        return False
    return leaves(context.graph, context, emptied(context, ~gone)) is not None


def emptied(context: Propagation, keep: Array) -> frozenset[str]:
    """Name the tensors of which no channel stays. ``keep``: one bool a class id."""
    return frozenset(name for name, labels in context.labels.items() if not keep[labels.atoms].any())


def leaves(graph: Graph, context: Propagation, names: Collection[str]) -> frozenset[str] | None:
    """Name the nodes that go with emptied tensors; None where something but a concatenation needs one of them."""
    going = []
    for node in graph.nodes:
        outputs = [tensor.name for tensor in node.outputs if tensor.name]
        if outputs and all(name in names for name in outputs):
            going.append(node.name)
        elif _touches(node, names) and not _does_without(context, node, names):
            return None
    return frozenset(going)


def _touches(node: Node, names: Collection[str]) -> bool:
    return any(tensor.name in names for tensor in (*node.inputs, *node.outputs, *node.captures()))


def _does_without(context: Propagation, node: Node, names: Collection[str]) -> bool:
    """Whether a node joins emptied tensors to others along the axis that they lose."""
    if node.domain or node.op != "Concat":
        return False
    axis = axis_of(node, context.graph.opset, len(context.shape(node.outputs[0])))
    lost = [context.labels[tensor.name].shrink for tensor in node.inputs if tensor.name in names]
    return len(lost) < len(node.inputs) and all(shrink == axis for shrink in lost)
