"""Element types of every tensor, by the schema's own inference, without touching the weights."""

from typing import Any

import numpy as np
import onnx
import onnx.helper
import onnx.shape_inference


def element_types(model: onnx.ModelProto) -> dict[str, np.dtype[Any]]:
    """Return the numpy dtype of every tensor of the outer graph that inference can tell; a model it refuses has none."""
    light = onnx.ModelProto(ir_version=model.ir_version, opset_import=model.opset_import, functions=model.functions)
    light.graph.name = model.graph.name
    light.graph.node.extend(model.graph.node)
    light.graph.input.extend(model.graph.input)
    for tensor in model.graph.initializer:
        value = onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
        light.graph.input.append(value)
    try:
        done = onnx.shape_inference.infer_shapes(light)
    except (onnx.shape_inference.InferenceError, RuntimeError, ValueError):
        return {}
    known = {value.name: value.type.tensor_type.elem_type for value in done.graph.value_info}
    return {name: onnx.helper.tensor_dtype_to_np_dtype(kind) for name, kind in known.items() if kind}
