"""Bring a model to the form the IR expects, changing no output: every change is listed."""

import numpy as np
import onnx
import onnx.numpy_helper

from .functions import inlined

_IR_WITH_FREE_WEIGHTS = 4


def normalise(model: onnx.ModelProto) -> tuple[onnx.ModelProto, list[str]]:
    """Inline local functions, stop declaring weights as inputs, and store Constant nodes as initializers."""
    changes: list[str] = []
    if model.functions:
        changes.append(f"inlined {len(model.functions)} local functions")
        model = inlined(model)
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    changes += _fill_sparse(copy.graph)
    changes += _free_weights(copy)
    changes += _store_constants(copy)
    return copy, changes


def _fill_sparse(graph: onnx.GraphProto) -> list[str]:
    count = len(graph.sparse_initializer)
    graph.initializer.extend(map(_dense, graph.sparse_initializer))
    del graph.sparse_initializer[:]
    return [f"{count} sparse weights became dense"] if count else []


def _dense(sparse: onnx.SparseTensorProto) -> onnx.TensorProto:
    """Return a tensor with its zeros stored. Indices count elements, or are one row of coordinates each."""
    values, indices = (onnx.numpy_helper.to_array(part) for part in (sparse.values, sparse.indices))
    array = np.zeros(tuple(sparse.dims), values.dtype)
    array[np.unravel_index(indices, array.shape) if indices.ndim == 1 else tuple(indices.T)] = values
    return onnx.numpy_helper.from_array(array, sparse.values.name)


def _free_weights(model: onnx.ModelProto) -> list[str]:
    stored = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in stored]
    dropped = len(model.graph.input) - len(inputs)
    if not dropped:
        return []
    del model.graph.input[:]
    model.graph.input.extend(inputs)
    changes = [f"{dropped} weights were also declared as inputs and no longer are"]
    if model.ir_version < _IR_WITH_FREE_WEIGHTS:
        changes.append(f"IR version {model.ir_version} became {_IR_WITH_FREE_WEIGHTS}, the first to allow that")
        model.ir_version = _IR_WITH_FREE_WEIGHTS
    return changes


def _store_constants(model: onnx.ModelProto) -> list[str]:
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
    return [f"{count} Constant nodes became initializers"] if count else []


def _constant(node: onnx.NodeProto) -> onnx.TensorProto | None:
    """Return the tensor a Constant node holds in any of its dense forms."""
    if node.op_type != "Constant" or node.domain not in ("", "ai.onnx"):
        return None
    attribute = node.attribute[0]
    value = onnx.helper.get_attribute_value(attribute)
    if attribute.name == "value":
        copy = onnx.TensorProto()
        copy.CopyFrom(value)
        return copy
    if attribute.name == "sparse_value":
        return _dense(value)
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
