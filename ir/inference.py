"""The schema's own inference of shapes and element types, with what it misses.

Where inference knows nothing of an operator, a *stand-in* takes its place: a standard operator whose outputs have the
same shapes and types. Other packages offer some for operators of their domains, under ``domain.Operator``.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnx.helper
import onnx.shape_inference

from .errors import InvalidModelError
from .registry import Registry

StandIn = Callable[[onnx.NodeProto], onnx.NodeProto]


def as_input(node: onnx.NodeProto) -> onnx.NodeProto:
    """Stand in for an operator whose outputs have the shape and type of its first input."""
    return onnx.helper.make_node("Identity", node.input[:1], node.output[:1], node.name)


_STAND_INS: dict[str, StandIn] = {"GroupNormalization": as_input, "MeanVarianceNormalization": as_input}
STAND_INS: Registry[StandIn] = Registry("stand-in for an operator", "optimise_onnx.stand_ins", _STAND_INS)


def inferred(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy with every value that inference can tell declared. Raises InvalidModelError when it refuses."""
    readable = onnx.ModelProto()
    readable.CopyFrom(model)
    for node in readable.graph.node:
        stand_in = STAND_INS.get(f"{node.domain}.{node.op_type}" if node.domain else node.op_type)
        if stand_in is not None:
            node.CopyFrom(stand_in(node))
    try:
        return onnx.shape_inference.infer_shapes(readable, data_prop=True)
    except (onnx.shape_inference.InferenceError, RuntimeError, ValueError) as error:
        raise InvalidModelError("shape inference refuses the model", why=str(error).splitlines()[0]) from error


def element_types(model: onnx.ModelProto) -> dict[str, np.dtype[Any]]:
    """Return the numpy dtype of every computed tensor that inference can tell: none, for a model it refuses.

    Weights are not copied.
    """
    light = onnx.ModelProto(ir_version=model.ir_version, opset_import=model.opset_import, functions=model.functions)
    light.graph.name = model.graph.name
    light.graph.node.extend(model.graph.node)
    light.graph.input.extend(model.graph.input)
    for tensor in model.graph.initializer:
        value = onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
        light.graph.input.append(value)
    try:
        values = inferred(light).graph.value_info
    except InvalidModelError:
        return {}
    kinds = {value.name: value.type.tensor_type.elem_type for value in values}
    return {name: onnx.helper.tensor_dtype_to_np_dtype(kind) for name, kind in kinds.items() if kind}
