"""Random inputs are drawn in a size with which the model runs, and the same every time."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from optimise_onnx.backends.ort import OrtRunner
from optimise_onnx.ir.errors import InvalidModelError
from optimise_onnx.ir.feeds import Calibration, Feeds
from optimise_onnx.ir.graph import Array, Graph
from optimise_onnx.tools import evaluation


@dataclass(frozen=True)
class Choosy:
    """A session that runs on one side only."""

    side: int

    def run(self, feeds: Mapping[str, Array]) -> Feeds:
        if feeds["x"].shape[-1] != self.side:
            raise InvalidModelError("onnxruntime does not run the model", why="wrong side")
        return {"y": feeds["x"]}


def model(batch: int | str) -> Graph:
    ends = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [batch, 3, "S"]) for name in "xy"]
    node = helper.make_node("Relu", ["x"], ["y"])
    return Graph.of(helper.make_model(helper.make_graph([node], "g", ends[:1], ends[1:])))


def test_a_side_that_runs_is_found() -> None:
    samples = evaluation.at_random(model("N"), Choosy(16), seed=1)
    first, second = list(samples.batches()), list(samples.batches())
    assert [batch["x"].shape for batch in first] == [(16, 3, 16)] * 4
    assert all((a["x"] == b["x"]).all() for a, b in zip(first, second, strict=True))
    assert samples.origin == "64 random inputs"
    assert evaluation.one(model("N"), Choosy(8), seed=1)["x"].shape == (1, 3, 8)
    assert evaluation.first(model("N"), samples)["x"].shape == (1, 3, 16)


def test_a_side_that_runs_is_found_in_onnxruntime() -> None:
    ends = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["N", "S"]) for name in "xy"]
    sixteen = numpy_helper.from_array(np.ones(16, np.float32), "sixteen")
    node = helper.make_node("Add", ["x", "sixteen"], ["y"])
    proto = helper.make_graph([node], "g", ends[:1], ends[1:], [sixteen])
    graph = Graph.of(helper.make_model(proto, opset_imports=[helper.make_opsetid("", 17)], ir_version=8))
    assert evaluation.one(graph, OrtRunner().session(graph), seed=1)["x"].shape == (1, 16)


def test_a_fixed_batch_stays() -> None:
    samples = evaluation.at_random(model(5), Choosy(32), seed=1)
    assert {batch["x"].shape for batch in samples.batches()} == {(5, 3, 32)}
    assert samples.origin == "20 random inputs"
    assert evaluation.first(model(5), samples)["x"].shape == (5, 3, 32)
    data = Calibration.from_arrays({"x": np.zeros((10, 3, 32), np.float32)})
    found = evaluation.from_data(model(5), data, "samples")
    assert [len(batch["x"]) for batch in found.batches()] == [5, 5] and found.origin == "10 samples"


def test_no_side_that_runs_asks_for_data() -> None:
    with pytest.raises(InvalidModelError, match=r"does not run on random inputs: wrong side \(give --data\)"):
        evaluation.at_random(model("N"), Choosy(7), seed=1)
