"""Reading and writing weights and biases of a graph's layers, never through a constant that another node reads too."""

import numpy as np

from ....ir.arguments import axis as axis_of
from ....ir.arguments import permutation
from ....ir.graph import Array, Graph, Node, Tensor
from ....ir.shapes import concrete, input_sizes
from .codes import PER_AXIS, centre, coded, fitted_scale, is_codes, limits
from .linear import Linear, adds_two, is_stored, linear_layers, stored_array, stored_weight, takes_bias
from .rounding import reads_own_range, sum_scale

_FARTHEST = limits(np.int32)[1] // 2  # what is left is for the products that are added to a bias


def write_weight(graph: Graph, node: Node, layer: Linear, weight: Array) -> None:
    """Store a float weight where the layer reads it, in its own format.

    A quantised one gets new symmetric scales, and a bias of codes scales that are as much larger: integer kernels take
    it on the product of the scales alone.
    """
    before = _scale(node.inputs[layer.weight_index])
    _write_values(graph, node, layer.weight_index, weight)
    after = _scale(node.inputs[layer.weight_index])
    if before is not None and after is not None and takes_bias(node) and _has_third(node):
        _rescale(graph, node.inputs[2], after.astype(np.float64) / before.astype(np.float64))


def _scale(tensor: Tensor) -> Array | None:
    made = tensor.producer
    coded_here = made is not None and made.op == "DequantizeLinear" and made.inputs[1].is_constant
    return made.inputs[1].array if made is not None and coded_here else None


def _rescale(graph: Graph, bias: Tensor, ratio: Array) -> None:
    """Store a bias of codes on scales that many times as large, where codes reach as far."""
    scale, values = _scale(bias), stored_array(bias, graph.opset) if is_stored(bias) else None
    made = None if scale is None or values is None else _codes_alone(bias, values)
    if made is None or scale is None or values is None or ratio.size not in (1, scale.size):
        return
    step = (scale * ratio.reshape(scale.shape)).astype(scale.dtype)
    if np.abs(values / step).max(initial=0) <= _FARTHEST:
        _set_bias_codes(graph, made, values, step)


def _write_values(graph: Graph, node: Node, index: int, values: Array) -> None:
    tensor = node.inputs[index]
    producer = tensor.producer
    if tensor.is_constant or producer is None:
        _replace(graph, node, index, np.ascontiguousarray(values, tensor.dtype))
    elif producer.op == "Transpose":
        order = permutation(producer, graph.opset, values.ndim)
        _write_values(graph, producer, 0, values.transpose(np.argsort(order)))
    elif producer.op == "Cast":
        _write_values(graph, producer, 0, values)
    else:
        _write_codes(graph, producer, values)


def _write_codes(graph: Graph, producer: Node, values: Array) -> None:
    """Store floats behind a DequantizeLinear, on new symmetric scales."""
    axis = axis_of(producer, graph.opset, values.ndim)
    stored, scale, *zero = producer.inputs
    each = scale.array.size > 1
    others = [a for a in range(values.ndim) if a != axis or not each]
    step = fitted_scale(values, others, stored.dtype).astype(scale.dtype)
    middle = centre(stored.dtype)
    _replace(graph, producer, 0, coded(values, step, middle, stored.dtype))
    _replace(graph, producer, 1, step.reshape(scale.array.shape))
    if zero and zero[0].name and (zero[0].array != middle).any():
        _replace(graph, producer, 2, np.full_like(zero[0].array, middle))


def writable(graph: Graph, node: Node, layer: Linear) -> bool:
    """Whether the weight belongs to this layer alone, as floats or codes, and the bias is stored or missing.

    Floats may lie behind a Cast or a Transpose.
    """
    if takes_bias(node) and _has_third(node) and bias_place(graph, node, layer) is None:
        return False
    tensor = node.inputs[layer.weight_index]
    return holds_floats(tensor) and read_once(tensor)


def read_once(tensor: Tensor) -> bool:
    """Whether one node alone reads a stored tensor, and all that it is seen through."""
    producer = tensor.producer
    inner = tensor.is_constant or producer is None or read_once(producer.inputs[0])
    return inner and len(tensor.consumers) == 1


def holds_floats(tensor: Tensor) -> bool:
    """Whether any floats can be stored where a tensor lies: unsigned codes need a zero point for that."""
    producer = tensor.producer
    if tensor.is_constant:
        return bool(np.dtype(tensor.dtype).kind == "f")
    if producer is not None and producer.op == "Transpose":
        return holds_floats(producer.inputs[0])
    if producer is None or not producer.inputs[0].is_constant:
        return False
    if producer.op == "Cast":
        return bool(np.dtype(producer.inputs[0].dtype).kind == "f")
    if producer.op != "DequantizeLinear" or producer.attributes.get("block_size"):
        return False
    shifted = len(producer.inputs) > 2 and bool(producer.inputs[2].name)
    return is_codes(producer.inputs[0].dtype) and (shifted or not centre(producer.inputs[0].dtype))


def _replace(graph: Graph, node: Node, index: int, array: Array) -> None:
    tensor = node.inputs[index]
    if len(tensor.consumers) == 1 and not graph.is_output(tensor):
        graph.set_array(tensor, array)
    else:
        node.set_input(index, graph.constant(tensor.name, array))


def bias_place(graph: Graph, node: Node, layer: Linear) -> tuple[Node, int] | None:
    """Find where the layer's bias is stored: its own third input, or a following sum that alone reads its output."""
    if takes_bias(node):
        return (node, 2) if _has_third(node) and _is_bias(graph, node.inputs[2], layer) else None
    out = node.outputs[0]
    readers = out.consumers
    if len(readers) != 1 or not adds_two(readers[0]) or graph.is_output(out):
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
    """Store a bias (g * m,): in place, a new third input or an Add after a MatMul; of a quantised layer as codes."""
    form = (bias.reshape(-1, 1) if layer.columns else bias).astype(stored_weight(graph, node, layer).dtype)
    place, scale = bias_place(graph, node, layer), _bias_scale(graph, node, layer, bias)
    if place is not None:
        holder, index = place
        target = holder.inputs[index]
        if target.is_constant:
            kept = bias.reshape(target.array.shape) if target.array.size == bias.size else form
            _replace(graph, holder, index, kept.astype(target.dtype))
        elif (source := _cast_alone(target)) is not None and source.array.size == bias.size:
            graph.set_array(source, bias.reshape(source.array.shape).astype(source.dtype))
        elif scale is not None and (made := _codes_alone(target, bias)) is not None:
            _set_bias_codes(graph, made, form, scale)
        else:
            holder.set_input(index, _new_bias(graph, node, form, scale))
        return
    stored = _new_bias(graph, node, form, scale)
    if takes_bias(node):
        node.set_inputs([*node.inputs[:2], stored])
    else:
        _add_after(graph, node, stored)


def coded_biases(graph: Graph) -> list[tuple[Node, Linear, Array]]:
    """Return the layers whose bias is codes on the layer's own scale, with the bias in float64."""
    found = []
    for name, layer in linear_layers(graph, concrete(graph, input_sizes(graph, 1))).items():
        node = graph.node(name)
        place = bias_place(graph, node, layer)
        made = None if place is None else place[0].inputs[place[1]].producer
        if made is not None and made.op == "DequantizeLinear" and sum_scale(node, layer, graph.opset) is not None:
            found.append((node, layer, stored_bias(graph, node, layer)))
    return found


def _bias_scale(graph: Graph, node: Node, layer: Linear, bias: Array) -> Array | None:
    """Return the scale of a quantised layer's bias; None where it stays in floats, or codes would not reach so far."""
    scale = None if layer.columns else sum_scale(node, layer, graph.opset)
    return None if scale is None or np.abs(bias / scale).max(initial=0) > _FARTHEST else scale


def _new_bias(graph: Graph, node: Node, form: Array, scale: Array | None) -> Tensor:
    """Store a bias, as 32-bit codes where it has a scale."""
    if scale is None:
        return graph.constant(f"{node.name}_bias", form)
    codes = graph.constant(f"{node.name}_bias", np.zeros(form.shape, np.int32))
    result = graph.variable(f"{node.name}_bias_float", form.dtype)
    made = graph.insert("DequantizeLinear", [codes, graph.constant(f"{node.name}_scale", scale)], [result], before=node)
    _set_bias_codes(graph, made, form, scale)
    return result


def _codes_alone(target: Tensor, bias: Array) -> Node | None:
    """Return the DequantizeLinear that reads a vector of 32-bit codes as a bias of one node alone."""
    made = target.producer
    if made is None or made.op != "DequantizeLinear" or len(target.consumers) != 1 or not made.inputs[0].is_constant:
        return None
    return made if made.inputs[0].array.shape == bias.shape and made.inputs[0].dtype == np.int32 else None


def _set_bias_codes(graph: Graph, made: Node, form: Array, scale: Array) -> None:
    _replace(graph, made, 0, coded(form, scale, 0, np.int32))
    _replace(graph, made, 1, scale)
    made.set_attribute("axis", 0 if scale.ndim and graph.opset >= PER_AXIS else None)
    if len(made.inputs) > 2:
        _replace(graph, made, 2, np.zeros(scale.shape, np.int32))


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
    graph.insert("Sum" if reads_own_range(node) else "Add", [inner, bias], [out])
    graph.sort()
