"""Values that a graph rounds: a QuantizeLinear and the DequantizeLinear behind it, which readers see as one step."""

from __future__ import annotations

from typing import Any

import numpy as np

from ....ir.arguments import axis
from ....ir.graph import Array, Graph, Node, Tensor
from .codes import limits
from .linear import Linear, is_stored, stored_array

QUANTISE, DEQUANTISE = "QuantizeLinear", "DequantizeLinear"


def dequantiser(node: Node) -> Node | None:
    """Return the DequantizeLinear that alone reads a QuantizeLinear, on the same scale: together they only round."""
    if node.domain or node.op != QUANTISE:
        return None
    readers = node.outputs[0].consumers
    if len(readers) != 1 or readers[0].domain or readers[0].op != DEQUANTISE:
        return None
    return readers[0] if scale_of(node) is not None and scale_of(node) == scale_of(readers[0]) else None


def past_rounding(graph: Graph, tensor: Tensor) -> Tensor:
    """Return what stands for a tensor behind its rounding; itself where others read it, or nothing rounds it."""
    readers = tensor.consumers
    if len(readers) != 1 or graph.is_output(tensor):
        return tensor
    back = dequantiser(readers[0])
    return tensor if back is None or graph.is_output(readers[0].outputs[0]) else back.outputs[0]


def scale_of(node: Node) -> tuple[float, int, np.dtype[Any]] | None:
    """Return the scale, the zero point and the code type of a rounding of whole tensors; None where any is unknown."""
    stored = node.inputs[1:]
    if not all(tensor.is_constant and tensor.array.size == 1 for tensor in stored if tensor.name):
        return None
    shift = stored[1] if len(stored) > 1 and stored[1].name else None
    codes = node.outputs[0] if node.op == QUANTISE else node.inputs[0]
    kind = shift.dtype if shift is not None else codes.dtype
    if kind is None:
        return None
    return float(stored[0].array.item()), int(shift.array.item()) if shift is not None else 0, np.dtype(kind)


def reach(node: Node) -> tuple[float, float]:
    """Return the least and the largest number that a rounding of whole tensors lets pass."""
    known = scale_of(node)
    assert known is not None
    scale, zero, kind = known
    low, high = limits(kind)
    return scale * (low - zero), scale * (high - zero)


def straight_through(graph: Graph) -> None:
    """Write floats for codes: weights as they are dequantised, and for every rounding the Clip that it also is.

    Slopes pass it where it cuts nothing off (Bengio et al., arXiv 1308.3432).
    """
    for node in graph.nodes:
        back = dequantiser(node)
        if back is not None:
            ends = [graph.constant(f"{node.name}_end", np.asarray(end, np.float32)) for end in reach(node)]
            graph.insert("Clip", [node.inputs[0], *ends], back.outputs[:1], before=node)
            graph.remove(back)
            graph.remove(node)
    for node in graph.nodes:
        if node.op == DEQUANTISE and is_stored(node.outputs[0]):
            graph.make_constant(node.outputs[0], stored_array(node.outputs[0], graph.opset))
    graph.clean()


def unrounded(graph: Graph) -> Graph | None:
    """Return a copy that hands on values where it rounded computed ones, on a stored scale or one of their own range.

    None where nothing is so. Codes that something else reads too, or that are an output, stay.
    """
    copy, found = graph.copy(), False
    for node in copy.nodes:
        made = node.inputs[0].producer if not node.domain and node.op == DEQUANTISE else None
        if made is not None and _rounds(made, node) and not copy.is_output(node.outputs[0]):
            copy.replace_uses(node.outputs[0], made.inputs[0])
            found = True
    if found:
        copy.clean()
    return copy if found else None


def reads_own_range(node: Node) -> bool:
    """Whether a node reads values that were rounded to a range of their own."""
    for tensor in node.inputs:
        back = tensor.producer
        made = back.inputs[0].producer if back is not None and back.op == DEQUANTISE and not back.domain else None
        if made is not None and made.op == "DynamicQuantizeLinear" and not made.domain:
            return True
    return False


def _rounds(made: Node, back: Node) -> bool:
    """Whether codes are turned back into what they stand for."""
    if made.domain or made.op != QUANTISE:
        return made.op == "DynamicQuantizeLinear" and made.outputs[1:] == back.inputs[1:]
    return scale_of(made) is not None and scale_of(made) == scale_of(back)


def sum_scale(node: Node, layer: Linear, opset: int) -> Array | None:
    """Return the scale on which a quantised layer adds up, that of its input times that of its weight: () or (g * m,).

    None where either is not quantised, or does not lie so that one scale holds for each output.
    """
    read, weight = (node.inputs[place].producer for place in (1 - layer.weight_index, layer.weight_index))
    if not (_dequantised(read) and _dequantised(weight)):
        return None
    assert read is not None and weight is not None
    once, each = (made.inputs[1] for made in (read, weight))
    if not (once.is_constant and each.is_constant and once.array.size == 1):
        return None
    shared, outputs = each.array.size == 1, 0 if layer.geometry is not None or layer.transposed else 1
    if not shared and axis(weight, opset, weight.inputs[0].array.ndim) != outputs:
        return None
    return np.asarray(once.array.reshape(()) * (each.array.reshape(()) if shared else each.array))


def _dequantised(made: Node | None) -> bool:
    return made is not None and not made.domain and made.op == DEQUANTISE
