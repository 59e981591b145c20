"""Random inputs are drawn at the sizes kept with the graph, and the same every time."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import onnx
import pytest
from onnx import helper

from optimise_onnx.ir.errors import InvalidModelError
from optimise_onnx.ir.feeds import Calibration, Feeds
from optimise_onnx.ir.graph import Array, Graph
from optimise_onnx.ir.sizes import Sizes
from optimise_onnx.tools import evaluation


@dataclass(frozen=True)
class Choosy:
    """A session that runs on one side only."""

    side: int

    def run(self, feeds: Mapping[str, Array]) -> Feeds:
        if feeds["x"].shape[-1] != self.side:
            raise InvalidModelError("onnxruntime does not run the model", why="wrong side")
        return {"y": feeds["x"]}


def model(batch: int | str, size: int) -> Graph:
    ends = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [batch, 3, "S"]) for name in "xy"]
    node = helper.make_node("Relu", ["x"], ["y"])
    graph = Graph.of(helper.make_model(helper.make_graph([node], "g", ends[:1], ends[1:])))
    graph.sizes = Sizes({"S": size})
    return graph


def test_inputs_are_drawn_at_the_sizes_of_the_graph() -> None:
    samples = evaluation.at_random(model("N", 16), Choosy(16), seed=1)
    first, second = list(samples.batches()), list(samples.batches())
    assert [batch["x"].shape for batch in first] == [(16, 3, 16)] * 4
    assert all((a["x"] == b["x"]).all() for a, b in zip(first, second, strict=True))
    assert samples.origin == "64 random inputs"
    assert evaluation.one(model("N", 8), Choosy(8), seed=1)["x"].shape == (1, 3, 8)
    assert evaluation.first(model("N", 16), samples)["x"].shape == (1, 3, 16)


def test_a_fixed_batch_stays() -> None:
    samples = evaluation.at_random(model(5, 32), Choosy(32), seed=1)
    assert {batch["x"].shape for batch in samples.batches()} == {(5, 3, 32)}
    assert samples.origin == "20 random inputs"
    assert evaluation.first(model(5, 32), samples)["x"].shape == (5, 3, 32)
    data = Calibration.from_arrays({"x": np.zeros((10, 3, 32), np.float32)})
    found = evaluation.from_data(model(5, 32), data, "samples")
    assert [len(batch["x"]) for batch in found.batches()] == [5, 5] and found.origin == "10 samples"


def test_a_size_that_does_not_run_asks_for_data() -> None:
    with pytest.raises(InvalidModelError, match=r"on random inputs: wrong side \(give --data, or --input-shape"):
        evaluation.at_random(model("N", 32), Choosy(7), seed=1)
