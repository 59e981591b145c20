"""Networks as onnxruntime saves them, for any machine and for this one: the same channels can go as before."""

from pathlib import Path

import onnx
import onnxruntime
import pytest
from onnxruntime.capi.onnxruntime_pybind11_state import InvalidGraph

from optimise_onnx.backends.ort import OrtRunner
from optimise_onnx.ir.graph import Graph
from optimise_onnx.passes.analysis.channels.groups import analyse
from optimise_onnx.passes.base import Context
from optimise_onnx.passes.cleanup.batch_norm import FoldBatchNorm
from optimise_onnx.passes.cleanup.constants import FoldConstants
from tests.oracle import distance, graph_of
from tests.zoo import ARCHITECTURES, ZOO, feeds

LEVELS = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED, onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
NETWORKS = {**ZOO, **ARCHITECTURES}
KEPT = {"MatMulNBits"}  # what it makes of a product with dequantised weights has no rule


def opened(model: onnx.ModelProto) -> Graph:
    graph = graph_of(model)
    for step in (FoldConstants(), FoldBatchNorm()):
        step.run(graph, Context(OrtRunner(1), graph.copy()))
    return graph


def runs(model: onnx.ModelProto) -> bool:
    try:
        onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    except InvalidGraph:
        return False
    return True


def free(graph: Graph) -> int:
    return sum(group.cells.size for group in analyse(graph).groups)


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_a_saved_network_loses_what_it_lost_before(name: str, tmp_path: Path) -> None:
    model = NETWORKS[name]()
    onnx.save(model, tmp_path / "in.onnx")
    wanted, inputs = free(opened(model)), feeds(model, 0)
    for level in LEVELS:
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level, options.log_severity_level = level, 4
        options.optimized_model_filepath = str(tmp_path / "saved.onnx")
        onnxruntime.InferenceSession(str(tmp_path / "in.onnx"), options, providers=["CPUExecutionProvider"])
        saved = onnx.load(tmp_path / "saved.onnx")
        if not runs(saved):
            continue  # names inside of branches that are given twice
        graph = opened(saved)
        assert distance(graph_of(saved), graph, inputs) < 1e-4
        if KEPT.isdisjoint(node.op for node in graph.nodes):
            assert free(graph) >= wanted
