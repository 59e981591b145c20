"""Operands that are the same for every input, as a gate that never moves or a branch of zeros: stored, or left out."""

from __future__ import annotations

import numpy as np

from ...ir.graph import Array, Dim, Graph, Node, Tensor
from ...ir.shapes import symbolic
from ..analysis.channels.atoms import squeeze_alike
from ..analysis.channels.groups import Channels
from .constant_channels import ConstantChannels

_NEUTRAL = {"Add": 0.0, "Div": 1.0, "Mul": 1.0, "Sub": 0.0}
_COMBINING = frozenset({*_NEUTRAL, "Max", "Mean", "Min", "Sum"})
_ONE_SIDED = frozenset({"Div", "Sub"})


def store_operands(graph: Graph, channels: Channels) -> int:
    """Let elementwise operators read a stored number, or one a channel, in place of what computes it; return how many.

    What then does nothing goes, as the sum with a branch of zeros. ``graph`` must be the one that was analysed.
    """
    values, dims = ConstantChannels(channels.context), symbolic(graph)
    count = 0
    for node in graph.nodes:
        if node.domain or node.op not in _COMBINING or not _known(channels, node):
            continue
        for index, tensor in enumerate(node.inputs):
            stored = _value(values, tensor, dims.get(tensor.name, ()))
            if stored is not None and _others_are_whole(channels, node, index):
                node.set_input(index, graph.constant(f"{tensor.name}_value", stored))
                _leave_out(graph, node)
                count += 1
                break
    if count:
        graph.clean()
    return count


def _known(channels: Channels, node: Node) -> bool:
    return all(tensor.name in channels.context.shapes for tensor in (*node.inputs, *node.outputs))


def _value(values: ConstantChannels, tensor: Tensor, dims: tuple[Dim, ...]) -> Array | None:
    """Return the value of a computed float tensor that varies along one axis at most; None where it is not known.

    ``dims``: its dimensions at any size of the inputs. The axis must be as long whatever these are.
    """
    if tensor.producer is None or tensor.dtype is None or np.dtype(tensor.dtype).kind != "f":
        return None
    found = squeeze_alike(values.of(tensor).values)
    if np.isnan(found).any() or found.size != max(found.shape, default=1):
        return None
    if found.size > 1 and not isinstance(dict(enumerate(dims)).get(int(np.argmax(found.shape))), int):
        return None
    return found.astype(tensor.dtype)


def _others_are_whole(channels: Channels, node: Node, index: int) -> bool:
    """Whether the other operands have the shape of the output, so that a smaller one may take the operand's place."""
    shapes = channels.context.shapes
    others = [shapes[tensor.name] for place, tensor in enumerate(node.inputs) if place != index]
    return bool(others) and np.broadcast_shapes(*others) == shapes[node.outputs[0].name]


def _leave_out(graph: Graph, node: Node) -> None:
    """Take a node out that adds nothing, or multiplies by 1."""
    if node.op not in _NEUTRAL or graph.is_output(node.outputs[0]):
        return
    for index in (1,) if node.op in _ONE_SIDED else (1, 0):
        operand, other = node.inputs[index], node.inputs[1 - index]
        if operand.is_constant and operand.array.size == 1 and operand.array.ravel()[0] == _NEUTRAL[node.op]:
            graph.replace_uses(node.outputs[0], other)
            graph.remove(node)
            return
