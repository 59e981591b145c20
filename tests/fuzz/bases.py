"""Small valid models that mutants are made of."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from zoo import ZOO
from zoo.builder import Builder

_ZOO = (
    "matmul_vector", "einsum_linear", "gelu_opset20", "gemm_trans_a", "bn_as_mul_add_matmul", "depthwise_on_input",
    "reduce_axes_input", "constant_branch", "argmax_inner", "glu_matmul", "qdq_weight_per_axis", "shape_channels",
    "rms_norm_decomposed", "layer_norm", "embedding", "qdq_activations", "matmul_batched", "reshape_zero",
    "topk_channels", "conv_transpose_group", "gather_subset", "argmax_channels", "depthwise_separable",
    "shape_flatten_open", "gru", "channel_shuffle", "split_attribute", "conv1d", "pad_channels_constant",
    "conv_transpose", "lstm", "slice_negative_ends", "split_unequal", "grouped_concat_border", "split_num_outputs",
    "attention_fused", "depth_to_space_crd", "pixel_shuffle_reshape", "dynamic_tokens", "prelu_channel", "fused_conv",
    "where_mask", "resize_opset10", "resize_sizes", "instance_norm", "average_pool_pad", "attention_cross",
    "concat_spatial", "lrn", "se_gemm_reshape", "shared_batch_norm", "loop_body", "if_branches", "constant_nodes",
)  # fmt: skip


def plain() -> onnx.ModelProto:
    """Two convolutions with batch norm, a head."""
    b = Builder("plain")
    x = b.input("x", ["N", 3, 6, 6])
    return b.model(b.head(b.conv_bn_relu(b.conv_bn_relu(x, 6), 8)))


def _model(nodes: list[onnx.NodeProto], arrays: dict[str, np.ndarray], **more: object) -> onnx.ModelProto:
    x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, ["N", size]) for n, size in (("x", 4), ("y", 3)))
    stored = [numpy_helper.from_array(array, name) for name, array in arrays.items()]
    graph = helper.make_graph(nodes, "g", [x], [y], stored)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, **more)


def _weights() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {"w": rng.normal(size=(4, 6)).astype("f4"), "v": rng.normal(size=(6, 3)).astype("f4")}


def _layers(middle: list[onnx.NodeProto]) -> list[onnx.NodeProto]:
    ends = (["x", "w"], "a"), (["b", "v"], "y")
    first, last = (helper.make_node("MatMul", read, [made]) for read, made in ends)
    return [first, *middle, last]


def loop() -> onnx.ModelProto:
    """A Loop that applies Tanh three times between two layers."""
    nodes = [helper.make_node("Identity", ["go"], ["still"]), helper.make_node("Tanh", ["v_in"], ["v_out"])]
    values = [("i", TensorProto.INT64, []), ("go", TensorProto.BOOL, []), ("v_in", TensorProto.FLOAT, None)]
    ends = [("still", TensorProto.BOOL, []), ("v_out", TensorProto.FLOAT, None)]
    body = helper.make_graph(
        nodes, "body", *([helper.make_tensor_value_info(*v) for v in part] for part in (values, ends))
    )
    node = helper.make_node("Loop", ["trips", "yes", "a"], ["b"], body=body)
    return _model(_layers([node]), {**_weights(), "trips": np.array(3), "yes": np.array(True)})


def choice() -> onnx.ModelProto:
    """An If on the sum of a tensor; its branches hold weights and read an outer one."""
    values = [helper.make_tensor_value_info("r", TensorProto.FLOAT, None)]
    scale = numpy_helper.from_array(np.full(6, 2, "f4"), "s")
    branches = [
        helper.make_graph([helper.make_node(op, ["a", "s"], ["r"])], op, [], values, [scale]) for op in ("Mul", "Add")
    ]
    middle = [
        helper.make_node("ReduceSum", ["a"], ["sum"], keepdims=0),
        helper.make_node("Greater", ["sum", "zero"], ["positive"]),
        helper.make_node("If", ["positive"], ["b"], then_branch=branches[0], else_branch=branches[1]),
    ]
    return _model(_layers(middle), {**_weights(), "zero": np.array(0, "f4")})


def functions() -> onnx.ModelProto:
    """Two local functions, of which one calls the other."""
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    inner = helper.make_function("own", "Inner", ["p"], ["q"], [helper.make_node("Relu", ["p"], ["q"])], opsets)
    calls = [helper.make_node("Inner", [a], [b], domain="own") for a, b in (("p", "m"), ("m", "q"))]
    outer = helper.make_function("own", "Outer", ["p"], ["q"], calls, opsets)
    model = _model(_layers([helper.make_node("Outer", ["a"], ["b"], domain="own")]), _weights())
    model.functions.extend([inner, outer])
    model.opset_import.append(helper.make_opsetid("own", 1))
    return model


def shapes() -> onnx.ModelProto:
    """Shape arithmetic, a made constant, a mask, lists as attributes."""
    fill = numpy_helper.from_array(np.array([1], "f4"), "fill")
    middle = [
        helper.make_node("Shape", ["a"], ["n"]),
        helper.make_node("Expand", ["mask", "n"], ["e"]),
        helper.make_node("ConstantOfShape", ["six"], ["ones"], value=fill),
        helper.make_node("Add", ["a", "e"], ["f"]),
        helper.make_node("Mul", ["f", "ones"], ["h"]),
        helper.make_node("Transpose", ["h"], ["t"], perm=[1, 0]),
        helper.make_node("Slice", ["t", "from", "to", "along"], ["u"]),
        helper.make_node("Transpose", ["u"], ["b"], perm=[1, 0]),
    ]
    numbers = {"six": [6], "from": [0], "to": [6], "along": [0]}
    arrays = {name: np.array(value, np.int64) for name, value in numbers.items()}
    return _model(_layers(middle), {**_weights(), **arrays, "mask": np.full((1, 6), -1e9, "f4")})


MAKERS: dict[str, Callable[[], onnx.ModelProto]] = {
    **{make.__name__: make for make in (plain, loop, choice, functions, shapes)},
    **{name: ZOO[name] for name in _ZOO},
}


@cache
def base(name: str) -> bytes:
    """Return a model as a file's content."""
    return MAKERS[name]().SerializeToString(deterministic=True)
