"""Tensors without entries hold nothing that could go: nodes beside them keep what they read; all else is as ever."""

import digits
import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from oracle import graph_of
from zoo import feeds

from optimise_onnx.backends.ort import OrtRunner
from optimise_onnx.passes.analysis.channels.groups import analyse
from optimise_onnx.passes.base import Context
from optimise_onnx.passes.manager import PassManager
from optimise_onnx.passes.pipelines import EXACT, FIRST
from tests.passes.cleanup.support import normal

BODIES = {
    "concat": "c = Concat<axis=1>(r, e)",
    "concat_first": "c = Concat<axis=1>(e, r)",
    "slice": "s = Slice(r, zero, zero, one) c = Concat<axis=1>(r, s)",
    "gather": "s = Gather<axis=1>(r, none) c = Concat<axis=1>(s, r)",
    "split": "s, t = Split<axis=1>(r, parts) v = Mul(s, s) c = Concat<axis=1>(v, t)",
    "reduce": "s, t = Split<axis=1>(r, parts) v = ReduceSum<keepdims=1>(s, one) c = Add(v, t)",
    "reshape": "s = Slice(r, zero, zero, one) t = Reshape<allowzero=1>(s, form) c = Concat<axis=1>(t, r)",
}
STORED: dict[str, NDArray[np.generic]] = {
    "w": normal(8, 3, 1, 1),
    "m": normal(6, 8, 1, 1),
    "u": normal(4, 6, 1, 1),
    "e": np.zeros((1, 0, 4, 4), np.float32),
    "zero": np.array([0]),
    "one": np.array([1]),
    "none": np.zeros(0, np.int64),
    "parts": np.array([0, 8]),
    "form": np.array([1, 0, 4, 4]),
}


@pytest.mark.parametrize("body", BODIES)
def test_what_lies_beside_a_tensor_without_entries_stays(body: str) -> None:
    head = '<ir_version: 8, opset_import: ["" : 17]> g (float[1, 3, 4, 4] x) => (float[1, 4, 4, 4] y)'
    text = f"{head} {{ a = Conv(x, w) r = Relu(a) {BODIES[body]} b = Conv(c, m) q = Relu(b) y = Conv(q, u) }}"
    model = onnx.parser.parse_model(text)
    for name, value in STORED.items():
        if name in BODIES[body] or len(name) == 1:
            model.graph.initializer.append(onnx.numpy_helper.from_array(value, name))
    graph = graph_of(model)
    channels = analyse(graph)
    assert any("without entries" in pin.why for _, pin in channels.pins)
    before = OrtRunner(1).session(graph).run(feeds(model, 0))["y"]
    PassManager.parse(f"{FIRST},{EXACT}").run(graph, Context(OrtRunner(1), graph.copy()))
    np.testing.assert_allclose(OrtRunner(1).session(graph).run(feeds(model, 0))["y"], before, rtol=1e-5, atol=1e-6)
    PassManager.parse("select-channels{keep=0.5},remove-channels").run(graph, Context(OrtRunner(1), graph.copy()))
    layers = {node.outputs[0].name: node.inputs[1].array.shape[0] for node in graph.nodes if node.op == "Conv"}
    assert layers == {"a": 8, "b": 3, "y": 4}


def test_the_shipped_network_has_none() -> None:
    assert not any("without entries" in pin.why for _, pin in analyse(digits.network()).pins)
