"""Writing solved weights and biases back into a graph, never through a constant that another node reads too."""

import numpy as np

from ...ir.graph import Array, Graph, Node, Tensor
from .linear import Linear


def write_weight(graph: Graph, node: Node, layer: Linear, weight: Array) -> None:
    """Store a float weight where the layer reads it; a quantised one gets a new symmetric scale in its own format."""
    tensor = node.inputs[layer.weight_index]
    if tensor.is_constant:
        _replace(graph, node, layer.weight_index, weight.astype(tensor.dtype))
        return
    producer = tensor.producer
    assert producer is not None
    axis = int(producer.attribute("axis", graph.opset, 1)) % weight.ndim
    stored, scale = producer.inputs[0], producer.inputs[1]
    others = tuple(a for a in range(weight.ndim) if a != axis)
    peak = np.abs(weight).max(axis=others if scale.array.size > 1 else None)
    limit = np.iinfo(stored.dtype).max
    step = np.where(peak > 0, peak / limit, 1.0)
    form = [-1 if a == axis else 1 for a in range(weight.ndim)] if scale.array.size > 1 else [1] * weight.ndim
    codes = np.clip(np.round(weight / step.reshape(form)), -limit, limit)
    _replace(graph, producer, 0, codes.astype(stored.dtype))
    _replace(graph, producer, 1, step.reshape(scale.array.shape).astype(scale.dtype))
    if len(producer.inputs) > 2 and producer.inputs[2].name:
        _replace(graph, producer, 2, np.zeros_like(producer.inputs[2].array))


def writable(node: Node, layer: Linear) -> bool:
    """Whether the weight belongs to this layer alone and is stored as floats or signed codes."""
    tensor = node.inputs[layer.weight_index]
    if tensor.is_constant:
        return len(tensor.consumers) == 1 and np.dtype(tensor.dtype).kind == "f"
    producer = tensor.producer
    if producer is None or producer.op != "DequantizeLinear" or not producer.inputs[0].is_constant:
        return False
    alone = len(tensor.consumers) == 1 and len(producer.inputs[0].consumers) == 1
    return alone and np.dtype(producer.inputs[0].dtype).kind == "i" and producer.inputs[1].array.ndim < 2


def _replace(graph: Graph, node: Node, index: int, array: Array) -> None:
    tensor = node.inputs[index]
    if len(tensor.consumers) == 1:
        graph.set_array(tensor, array)
    else:
        node.set_input(index, graph.constant(tensor.name, array))


def bias_place(node: Node, layer: Linear) -> tuple[Node, int] | None:
    """Find where the layer's bias is stored: its own third input, or a following Add that is its only reader."""
    if node.op in ("Conv", "Gemm"):
        return (node, 2) if len(node.inputs) > 2 and node.inputs[2].name else None
    readers = node.outputs[0].consumers
    if len(readers) != 1 or readers[0].op != "Add" or layer.columns:
        return None
    for index, tensor in enumerate(readers[0].inputs):
        if tensor.is_constant and tensor.array.ndim <= 1:
            return readers[0], index
    return None


def write_bias(graph: Graph, node: Node, layer: Linear, bias: Array) -> None:
    """Store a bias (m,): in place, as a new third input, or as an Add after a MatMul."""
    place = bias_place(node, layer)
    dtype = node.outputs[0].dtype or np.float32
    if place is not None:
        holder, index = place
        target = holder.inputs[index]
        if target.is_constant:
            _replace(graph, holder, index, bias.astype(target.dtype))
        else:
            holder.set_input(index, graph.constant(f"{node.name}_bias", bias.astype(np.float32)))
        return
    stored = graph.constant(f"{node.name}_bias", _column(bias, layer).astype(dtype))
    if node.op in ("Conv", "Gemm"):
        node.set_inputs([*node.inputs[:2], stored])
        return
    _add_after(graph, node, stored)


def _column(bias: Array, layer: Linear) -> Array:
    return bias.reshape(-1, 1) if layer.columns else bias


def _add_after(graph: Graph, node: Node, bias: Tensor) -> None:
    out = node.outputs[0]
    inner = graph.variable(f"{out.name}_product", out.dtype)
    node.set_outputs([inner])
    graph.insert("Add", [inner, bias], [out])
    graph.sort()
