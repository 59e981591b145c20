"""Layers that onnxruntime has fused are written with standard operators, to the same outputs."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper, numpy_helper

from optimise_onnx.passes.analysis.channels.groups import analyse
from optimise_onnx.passes.cleanup.constants import FoldConstants
from tests.oracle import graph_of
from tests.zoo.builder import Builder

from .support import checked, normal, ops

X = {"x": normal(2, 3, 6, 6)}


@pytest.mark.parametrize(
    ("kind", "numbers"),
    [
        ("Relu", []),
        ("LeakyRelu", [0.2]),
        ("Tanh", []),
        ("Sigmoid", []),
        ("Clip", [-0.5, 0.5]),
        ("HardSigmoid", [0.3, 0.4]),
    ],
)
@pytest.mark.parametrize("added", [False, True])
def test_a_fused_convolution(kind: str, numbers: list[float], added: bool) -> None:
    inputs = ["x", "w", "b", "z"] if added else ["x", "w", "b"]
    options = {"activation_params": numbers} if numbers else {}
    fused = helper.make_node(
        "FusedConv", inputs, ["h"], domain="com.microsoft", activation=kind, pads=[1] * 4, **options
    )
    nodes = [helper.make_node("Conv", ["x", "v"], ["z"]), fused, helper.make_node("Neg", ["h"], ["y"])]
    weights = {"w": normal(8, 3, 3, 3), "b": normal(8), "v": normal(8, 3, 1, 1)}
    stored = [numpy_helper.from_array(array, name) for name, array in weights.items()]
    ends = [helper.make_tensor_value_info(n, 1, ["N", c, 6, 6]) for n, c in (("x", 3), ("y", 8))]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], stored)
    domains = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    result = checked(graph_of(helper.make_model(graph, opset_imports=domains, ir_version=8)), FoldConstants(), X)
    assert ops(result) == ["Conv"] * (1 + added) + ["Add"] * added + [kind, "Neg"]


def test_a_network_that_onnxruntime_has_saved_can_lose_channels(tmp_path: Path) -> None:
    b = Builder("saved")
    h = b.input("x", ["N", 3, 6, 6])
    for width in (8, 8):
        h = b.node("LeakyRelu", [b.conv(h, width)], alpha=0.1)
    onnx.save(b.model(b.head(h, 5)), tmp_path / "in.onnx")
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(tmp_path / "saved.onnx")
    options.log_severity_level = 4
    onnxruntime.InferenceSession(str(tmp_path / "in.onnx"), options, providers=["CPUExecutionProvider"])
    saved = graph_of(onnx.load(tmp_path / "saved.onnx"))
    assert "FusedConv" in ops(saved)
    found = analyse(checked(saved, FoldConstants(), {"x": np.asarray(X["x"])}))
    assert [group.width for group in found.groups] == [8, 8]


@pytest.mark.parametrize("batch", [(0, 0), (1, 0), (0, 1), (1, 1)])
@pytest.mark.parametrize("last", [(0, 0), (1, 0), (0, 1), (1, 1)])
def test_a_product_that_turns_and_scales(batch: tuple[int, int], last: tuple[int, int]) -> None:
    """Operands (2, 3, 4, 5) and (2, 3, 5, 6), laid out as the node wants them."""
    given = {"a": normal(2, 3, 4, 5), "b": normal(2, 3, 5, 6)}
    for (name, array), turned, first in zip(list(given.items()), last, batch, strict=True):
        array = array.swapaxes(-1, -2) if turned else array
        given[name] = np.moveaxis(array, -2, 0) if first else array
    options = {"transA": last[0], "transB": last[1], "transBatchA": batch[0], "transBatchB": batch[1], "alpha": 0.5}
    node = helper.make_node("FusedMatMul", ["a", "b"], ["y"], domain="com.microsoft", **options)
    ends = [helper.make_tensor_value_info(name, 1, array.shape) for name, array in given.items()]
    out = helper.make_tensor_value_info("y", 1, [2, 3, 4, 6])
    domains = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(helper.make_graph([node], "g", ends, [out]), opset_imports=domains, ir_version=8)
    result = checked(graph_of(model), FoldConstants(), {k: v.astype(np.float32) for k, v in given.items()})
    assert set(ops(result)) <= {"Transpose", "MatMul", "Mul"}
