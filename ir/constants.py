"""Constant nodes of models, which the IR expects as initializers."""

import numpy as np
import onnx
import onnx.helper
import onnx.numpy_helper


def store_constants(model: onnx.ModelProto) -> int:
    """Turn Constant nodes into initializers but for those that are outputs or hold texts; return how many."""
    kept, count = [], 0
    outputs = {value.name for value in model.graph.output}
    for node in model.graph.node:
        tensor = _constant(node)
        if tensor is None or node.output[0] in outputs:
            kept.append(node)
            continue
        tensor.name = node.output[0]
        model.graph.initializer.append(tensor)
        count += 1
    if count:
        del model.graph.node[:]
        model.graph.node.extend(kept)
    return count


def _constant(node: onnx.NodeProto) -> onnx.TensorProto | None:
    """Return the tensor a Constant node holds in any of its dense forms."""
    if node.op_type != "Constant" or node.domain not in ("", "ai.onnx"):
        return None
    attribute = node.attribute[0]
    value = onnx.helper.get_attribute_value(attribute)
    if attribute.name == "value" and value.data_type != onnx.TensorProto.STRING:
        copy = onnx.TensorProto()
        copy.CopyFrom(value)
        return copy
    if attribute.name == "sparse_value":
        return dense(value)
    kinds = {
        "value_float": onnx.TensorProto.FLOAT,
        "value_floats": onnx.TensorProto.FLOAT,
        "value_int": onnx.TensorProto.INT64,
        "value_ints": onnx.TensorProto.INT64,
    }
    if attribute.name not in kinds:
        return None
    several = attribute.name.endswith("s")
    return onnx.helper.make_tensor(
        "", kinds[attribute.name], [len(value)] if several else [], value if several else [value]
    )


def set_texts_apart(graph: onnx.GraphProto) -> int:
    """Turn initializers that hold texts into Constant nodes in front, subgraphs' too; return how many."""
    texts = [tensor for tensor in graph.initializer if tensor.data_type == onnx.TensorProto.STRING]
    bodies = [a.g for node in graph.node for a in node.attribute if a.type == onnx.AttributeProto.GRAPH]
    count = len(texts) + sum(map(set_texts_apart, bodies))
    for place, tensor in enumerate(texts):
        node = onnx.helper.make_node("Constant", [], [tensor.name], value=tensor)
        graph.initializer.remove(tensor)
        graph.node.insert(place, node)
    return count


def dense(sparse: onnx.SparseTensorProto) -> onnx.TensorProto:
    """Return a tensor with its zeros stored. Indices count elements, or are one row of coordinates each."""
    values, indices = (onnx.numpy_helper.to_array(part) for part in (sparse.values, sparse.indices))
    array = np.zeros(tuple(sparse.dims), values.dtype)
    array[np.unravel_index(indices, array.shape) if indices.ndim == 1 else tuple(indices.T)] = values
    return onnx.numpy_helper.from_array(array, sparse.values.name)
