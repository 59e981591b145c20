"""The schema's own inference of shapes and element types, with what it misses.

Where inference knows nothing of an operator, a *stand-in* takes its place: a standard operator whose outputs have the
same shapes and types. Other packages offer some for operators of their domains, under ``domain.Operator``.
"""

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np
import onnx
import onnx.helper
import onnx.numpy_helper
import onnx.shape_inference

from .errors import BudgetError, InvalidModelError
from .mapped import is_mapped
from .qonnx import QUANTISERS
from .registry import Registry
from .trial import bearable

_SMALL = 1024  # elements of a weight that may say something of shapes
_SECONDS, _MEMORY = 10.0, 2**30

_VALUES = 2  # the place of an attention's values
_LISTED = 2**12  # entries of a list of dimensions

StandIn = Callable[[onnx.NodeProto], onnx.NodeProto]


def as_input(node: onnx.NodeProto) -> onnx.NodeProto:
    """Stand in for an operator whose outputs have the shape and type of its first input."""
    return onnx.helper.make_node("Identity", node.input[:1], node.output[:1], node.name)


def as_floats(node: onnx.NodeProto) -> onnx.NodeProto:
    """Stand in for an operator that gives a float for every entry of its first input."""
    return onnx.helper.make_node("Cast", node.input[:1], node.output[:1], node.name, to=onnx.TensorProto.FLOAT)


def as_queries(node: onnx.NodeProto) -> onnx.NodeProto:
    """Stand in for attention whose output has the shape of its queries, unless keys and values lie beside them."""
    return as_input(node) if len(node.input) > 1 and node.input[1] else node


def as_mixture(node: onnx.NodeProto) -> onnx.NodeProto:
    """Stand in for attention over (batch, positions, width): positions of the queries, width of the values.

    Not where the values lie beside the queries.
    """
    if len(node.input) <= _VALUES or not node.input[_VALUES]:
        return node
    inputs = [node.input[0], node.input[2]]
    return onnx.helper.make_node("Einsum", inputs, node.output[:1], node.name, equation="bsq,btv->bsv")


def as_product(node: onnx.NodeProto) -> onnx.NodeProto:
    """Stand in for a product that may turn the last two axes of its operands first, or their first ones."""
    turned = {a.name: a.i for a in node.attribute if a.name.startswith("trans")}
    one, other = ("ji" if turned.get("transA") else "ij"), ("kj" if turned.get("transB") else "jk")
    left = f"{one[0]}...{one[1]}" if turned.get("transBatchA") else f"...{one}"
    right = f"{other[0]}...{other[1]}" if turned.get("transBatchB") else f"...{other}"
    equation = f"{left},{right}->...ik"
    return onnx.helper.make_node("Einsum", node.input[:2], node.output[:1], node.name, equation=equation)


_STAND_INS: dict[str, StandIn] = {
    "GroupNormalization": as_input,
    "MeanVarianceNormalization": as_input,
    "ai.onnx.ml.Normalizer": as_floats,
    "ai.onnx.ml.Scaler": as_floats,
    "com.microsoft.QLinearAdd": as_input,
    "com.microsoft.QLinearMul": as_input,
    "com.microsoft.FusedMatMul": as_product,
    "com.microsoft.Gelu": as_input,
    "com.microsoft.GroupQueryAttention": as_queries,
    "com.microsoft.MultiHeadAttention": as_mixture,
    **dict.fromkeys(QUANTISERS, as_input),
}
STAND_INS: Registry[StandIn] = Registry("stand-in for an operator", "optimise_onnx.stand_ins", _STAND_INS)


def inferred(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy with every value that inference can tell declared. Raises InvalidModelError when it refuses."""
    readable = onnx.ModelProto()
    readable.CopyFrom(model)
    for node in readable.graph.node:
        stand_in = STAND_INS.get(f"{node.domain}.{node.op_type}" if node.domain else node.op_type)
        if stand_in is not None:
            node.CopyFrom(stand_in(node))
    values = not any(_declare_table(node, readable.graph) for node in readable.graph.node)
    try:
        return onnx.shape_inference.infer_shapes(readable, data_prop=values)
    except (onnx.shape_inference.InferenceError, RuntimeError, ValueError) as error:
        raise InvalidModelError("shape inference refuses the model", why=str(error).splitlines()[0]) from error


def _declare_table(node: onnx.NodeProto, graph: onnx.GraphProto) -> bool:
    """Let a long list of one number stand for a typed input; return whether the node makes one.

    Inference would follow it entry by entry.
    """
    if node.op_type != "ConstantOfShape":
        return False
    stored = (tensor for tensor in graph.initializer if tensor.name == node.input[0] and prod(tensor.dims) == 1)
    form = next((onnx.numpy_helper.to_array(tensor).tolist() for tensor in stored), None)
    if not isinstance(form, list) or form[0] <= _LISTED:
        return False
    kinds = [attribute.t.data_type for attribute in node.attribute if attribute.name == "value"]
    given = f"{node.output[0]}_declared"
    graph.input.append(onnx.helper.make_tensor_value_info(given, (kinds or [onnx.TensorProto.FLOAT])[0], form))
    node.CopyFrom(onnx.helper.make_node("Identity", [given], node.output, node.name))
    return True


def element_types(model: onnx.ModelProto) -> dict[str, np.dtype[Any]]:
    """Return the numpy dtype of every computed tensor that inference can tell: none, for a model it refuses.

    Weights are not copied.
    """
    try:
        values = inferred(_light(model, 0)).graph.value_info
    except InvalidModelError:
        return {}
    kinds = {value.name: value.type.tensor_type.elem_type for value in values}
    return {name: onnx.helper.tensor_dtype_to_np_dtype(kind) for name, kind in kinds.items() if kind}


def check_inference(model: onnx.ModelProto) -> None:
    """Raise BudgetError where inference, which computes integers that shapes may depend on, does not end in time.

    Time: one inference, in a process of its own.
    """
    light = _light(model, _SMALL)
    if not bearable(lambda: inferred(light), _SECONDS, _MEMORY):
        why = f"it takes more than {_SECONDS:g} s or {_MEMORY / 2**30:g} GiB"
        raise BudgetError("the shapes of the model cannot be inferred", why=why)


def without_mapped(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a model in which weights that lie in mapped files are inputs; the model itself where it has none."""
    outside = [tensor for tensor in model.graph.initializer if is_mapped(tensor)]
    if not outside:
        return model
    light, known = onnx.ModelProto(), {value.name for value in model.graph.input}
    light.CopyFrom(model)
    del light.graph.initializer[:]
    light.graph.initializer.extend(tensor for tensor in model.graph.initializer if not is_mapped(tensor))
    for tensor in outside:
        if tensor.name not in known:
            light.graph.input.append(onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
    return light


def _light(model: onnx.ModelProto, largest: int) -> onnx.ModelProto:
    """Return a model whose weights of more than ``largest`` elements are declared as inputs, without any others."""
    light = onnx.ModelProto(ir_version=model.ir_version, opset_import=model.opset_import, functions=model.functions)
    light.graph.name = model.graph.name
    light.graph.node.extend(model.graph.node)
    light.graph.input.extend(model.graph.input)
    for tensor in model.graph.initializer:
        if prod(tensor.dims) <= largest:
            light.graph.initializer.append(tensor)
        value = onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
        light.graph.input.append(value)
    return light
