"""NaN is refused wherever it is stored; an infinity where it would be multiplied, and nowhere else."""

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from optimise_onnx.backends.ort import OrtRunner
from optimise_onnx.frontends.load import load
from optimise_onnx.ir.errors import InvalidModelError

NAN, INF = float("nan"), float("inf")


def model(*nodes: onnx.NodeProto, opset: int = 17, **arrays: Any) -> onnx.ModelProto:
    """y (N, 4) of x (N, 4) and c (4), with more arrays."""
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 4]) for name in "xy")
    stored = [numpy_helper.from_array(np.asarray(array), name) for name, array in arrays.items()]
    graph = helper.make_graph(list(nodes), "g", [x], [y], stored)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def with_constant(op: str, value: float, dtype: Any = np.float32) -> onnx.ModelProto:
    array = np.ones((4, 4) if op == "MatMul" else 4, dtype)
    array.flat[0] = value
    return model(helper.make_node(op, ["x", "c"], ["y"]), c=array)


def in_a_branch(value: float) -> onnx.ModelProto:
    result = [helper.make_tensor_value_info("r", TensorProto.FLOAT, None)]
    stored = numpy_helper.from_array(np.array(value, np.float32), "inner")
    branches = [
        helper.make_graph([helper.make_node("Mul", ["x", "inner"], ["r"])], n, [], result, [stored]) for n in "ab"
    ]
    node = helper.make_node("If", ["yes"], ["y"], then_branch=branches[0], else_branch=branches[1])
    return model(node, yes=np.array(True))


def as_a_node(value: float) -> onnx.ModelProto:
    return model(helper.make_node("Constant", [], ["c"], value_float=value), helper.make_node("Mul", ["x", "c"], ["y"]))


def in_bfloat16(value: float) -> onnx.ModelProto:
    dtype = helper.tensor_dtype_to_np_dtype(TensorProto.BFLOAT16)
    cast = helper.make_node("Cast", ["c"], ["d"], to=TensorProto.FLOAT)
    return model(cast, helper.make_node("Mul", ["x", "d"], ["y"]), c=np.full(4, value).astype(dtype))


def moved(value: float) -> onnx.ModelProto:
    steps = [helper.make_node("Transpose", ["c"], ["d"]), helper.make_node("MatMul", ["x", "d"], ["y"])]
    return model(*steps, c=np.full((4, 4), value, np.float32))


def variance(value: float) -> onnx.ModelProto:
    ones = {name: np.ones(4, np.float32) for name in ("s", "b", "m")}
    node = helper.make_node("BatchNormalization", ["x", "s", "b", "m", "v"], ["y"])
    return model(node, **ones, v=np.full(4, value, np.float32))


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (with_constant("MatMul", NAN), "weight 'c' holds NaN at MatMul"),
        (with_constant("Add", NAN), "weight 'c' holds NaN at Add"),
        (with_constant("MatMul", INF), "weight 'c' holds Inf at MatMul"),
        (with_constant("Mul", -INF), "weight 'c' holds Inf at Mul"),
        (model(helper.make_node("Mul", ["x", "c"], ["y"]), c=np.array(NAN, np.float32)), "weight 'c' holds NaN"),
        (in_a_branch(NAN), "weight 'inner' holds NaN"),
        (in_a_branch(INF), "weight 'inner' holds Inf"),
        (as_a_node(NAN), "weight 'c' holds NaN"),
        (in_bfloat16(NAN), "weight 'c' holds NaN"),
        (in_bfloat16(INF), "weight 'c' holds Inf"),
        (moved(INF), "weight 'c' holds Inf at MatMul"),
        (variance(-1), "variance 'v' is negative at BatchNormalization"),
        (variance(INF), "weight 'v' holds Inf"),
        (model(helper.make_node("LeakyRelu", ["x"], ["y"], alpha=NAN)), "attribute 'alpha' is NaN at LeakyRelu"),
    ],
)  # fmt: skip
def test_numbers_that_compute_nothing(made: onnx.ModelProto, said: str) -> None:
    with pytest.raises(InvalidModelError, match=said):
        load(made)


@pytest.mark.parametrize(
    "made",
    [
        with_constant("Add", -INF),
        with_constant("Max", -INF),
        model(helper.make_node("Clip", ["x", "c"], ["y"]), c=np.array(-INF, np.float32)),
        model(helper.make_node("Where", ["m", "x", "c"], ["y"]), m=np.ones(4, bool), c=np.float32(-INF)),
        model(
            helper.make_node("Less", ["x", "c"], ["l"]), helper.make_node("Cast", ["l"], ["y"], to=1), c=np.float32(INF)
        ),
        variance(0),
    ],
)
def test_masks_and_limits_may_be_infinite(made: onnx.ModelProto) -> None:
    load(made, OrtRunner())
