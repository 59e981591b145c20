"""Reading and writing weights and biases of a graph's layers, never through a constant that another node reads too."""

import numpy as np

from ....ir.arguments import axis as axis_of
from ....ir.graph import Array, Graph, Node, Tensor
from .linear import Linear, is_stored, stored_array, stored_weight, takes_bias


def write_weight(graph: Graph, node: Node, layer: Linear, weight: Array) -> None:
    """Store a float weight where the layer reads it, in its own format; a quantised one gets a new symmetric scale."""
    tensor = node.inputs[layer.weight_index]
    producer = tensor.producer
    if tensor.is_constant or producer is None:
        _replace(graph, node, layer.weight_index, weight.astype(tensor.dtype))
        return
    if producer.op == "Cast":
        _replace(graph, producer, 0, weight.astype(producer.inputs[0].dtype))
        return
    axis = axis_of(producer, graph.opset, weight.ndim)
    stored, scale, *zero = producer.inputs
    each = scale.array.size > 1
    others = tuple(a for a in range(weight.ndim) if a != axis) if each else None
    limit = np.iinfo(stored.dtype).max
    peak = np.abs(weight).max(axis=others)
    step = np.where(peak > 0, peak / limit, 1.0).astype(scale.dtype)
    form = [-1 if a == axis and each else 1 for a in range(weight.ndim)]
    codes = np.clip(np.round(weight / step.reshape(form)), -limit, limit)
    _replace(graph, producer, 0, codes.astype(stored.dtype))
    _replace(graph, producer, 1, step.reshape(scale.array.shape))
    if zero and zero[0].name and zero[0].array.any():
        _replace(graph, producer, 2, np.zeros_like(zero[0].array))


def writable(graph: Graph, node: Node, layer: Linear) -> bool:
    """Whether the weight belongs to this layer alone, as floats or signed codes, and the bias is stored or missing.

    Floats may lie behind a Cast.
    """
    if takes_bias(node) and _has_third(node) and bias_place(graph, node, layer) is None:
        return False
    tensor = node.inputs[layer.weight_index]
    if tensor.is_constant:
        return len(tensor.consumers) == 1 and np.dtype(tensor.dtype).kind == "f"
    producer = tensor.producer
    kind = {"Cast": "f", "DequantizeLinear": "i"}.get("" if producer is None else producer.op)
    if producer is None or kind is None or not producer.inputs[0].is_constant:
        return False
    alone = len(tensor.consumers) == 1 and len(producer.inputs[0].consumers) == 1
    return alone and np.dtype(producer.inputs[0].dtype).kind == kind


def _replace(graph: Graph, node: Node, index: int, array: Array) -> None:
    tensor = node.inputs[index]
    if len(tensor.consumers) == 1 and not graph.is_output(tensor):
        graph.set_array(tensor, array)
    else:
        node.set_input(index, graph.constant(tensor.name, array))


def bias_place(graph: Graph, node: Node, layer: Linear) -> tuple[Node, int] | None:
    """Find where the layer's bias is stored: its own third input, or a following Add that alone reads its output."""
    if takes_bias(node):
        return (node, 2) if _has_third(node) and _is_bias(graph, node.inputs[2], layer) else None
    out = node.outputs[0]
    readers = out.consumers
    if len(readers) != 1 or readers[0].op != "Add" or graph.is_output(out):
        return None
    places = [index for index, tensor in enumerate(readers[0].inputs) if _is_bias(graph, tensor, layer)]
    return (readers[0], places[0]) if places else None


def has_own_bias(graph: Graph, node: Node, layer: Linear) -> bool:
    """Whether :func:`write_bias` only changes numbers: floats of this layer alone, one an output."""
    place = bias_place(graph, node, layer)
    if place is None:
        return False
    tensor = place[0].inputs[place[1]]
    alone = tensor.is_constant and len(tensor.consumers) == 1 and np.dtype(tensor.dtype).kind == "f"
    return alone and tensor.array.size == layer.groups * layer.fan_out


def _has_third(node: Node) -> bool:
    return len(node.inputs) > 2 and bool(node.inputs[2].name)


def _is_bias(graph: Graph, tensor: Tensor, layer: Linear) -> bool:
    """Whether a tensor is stored and is one number, or one an output of the layer and alike along all other axes."""
    if not is_stored(tensor):
        return False
    shape = stored_array(tensor, graph.opset).shape
    size = int(np.prod(shape))
    if size == 1:
        return len(shape) <= 1 or layer.fan_out == 1
    along = (1, 1, *shape)[-2 if layer.columns else -1]
    return bool(along == size == layer.groups * layer.fan_out)


def stored_bias(graph: Graph, node: Node, layer: Linear) -> Array:
    """Return the layer's bias, (g * m,) in float64; zeros where it has none."""
    place = bias_place(graph, node, layer)
    known = np.zeros(1) if place is None else stored_array(place[0].inputs[place[1]], graph.opset)
    return np.broadcast_to(known.astype(np.float64).ravel(), (layer.groups * layer.fan_out,))


def write_bias(graph: Graph, node: Node, layer: Linear, bias: Array) -> None:
    """Store a bias (g * m,): in place, as a new third input, or as an Add after a MatMul."""
    form = bias.reshape(-1, 1) if layer.columns else bias
    dtype = stored_weight(graph, node, layer).dtype
    place = bias_place(graph, node, layer)
    if place is not None:
        holder, index = place
        target = holder.inputs[index]
        if target.is_constant:
            kept = bias.reshape(target.array.shape) if target.array.size == bias.size else form
            _replace(graph, holder, index, kept.astype(target.dtype))
        elif (source := _cast_alone(target)) is not None and source.array.size == bias.size:
            graph.set_array(source, bias.reshape(source.array.shape).astype(source.dtype))
        else:
            holder.set_input(index, graph.constant(f"{node.name}_bias", form.astype(dtype)))
        return
    stored = graph.constant(f"{node.name}_bias", form.astype(dtype))
    if takes_bias(node):
        node.set_inputs([*node.inputs[:2], stored])
    else:
        _add_after(graph, node, stored)


def _cast_alone(tensor: Tensor) -> Tensor | None:
    """Return the floats that a Cast reads for one node alone."""
    producer = tensor.producer
    if producer is None or producer.op != "Cast" or len(tensor.consumers) != 1:
        return None
    source = producer.inputs[0]
    alone = source.is_constant and len(source.consumers) == 1 and np.dtype(source.dtype).kind == "f"
    return source if alone else None


def _add_after(graph: Graph, node: Node, bias: Tensor) -> None:
    out = node.outputs[0]
    inner = graph.variable(f"{out.name}_product", out.dtype)
    node.set_outputs([inner])
    graph.insert("Add", [inner, bias], [out])
    graph.sort()
