"""Recurrent layers: what depends on features that are left is recovered, and gates are aimed at by their own rows."""

import numpy as np
import onnx
import pytest
from oracle import distance, graph_of
from zoo import ZOO, feeds
from zoo.builder import Builder
from zoo.structures.layers import recurrent_layer

from optimise_onnx.backends.ort import OrtRunner
from optimise_onnx.ir.feeds import Calibration
from optimise_onnx.passes.base import Context
from optimise_onnx.passes.manager import PassManager, apply
from optimise_onnx.passes.reconstruct import recurrent
from optimise_onnx.passes.reconstruct.reconstruct import Reconstruct

from .test_reconstruct import pairs, without_odd


def redundant(op: str, gates: int, **options: object) -> onnx.ModelProto:
    """Features of which every odd one could go, read by a recurrent layer."""
    b = Builder(f"redundant_{op}")
    y = b.mean(b.relu(b.conv_with(b.input("x", ["N", 3, 8, 8]), pairs(b, [16, 3, 3, 3]))), 2, keepdims=0)
    directions = 2 if options else 1
    steps = recurrent_layer(b, op, b.transpose(y, 2, 0, 1), 6, gates, directions, **options)[0]
    return b.model(b.node("Tanh", [steps]))


@pytest.mark.parametrize(
    ("op", "gates", "options"), [("LSTM", 4, {"direction": "bidirectional"}), ("GRU", 3, {}), ("RNN", 1, {})]
)
def test_dependent_features_are_recovered(op: str, gates: int, options: dict[str, object]) -> None:
    model = redundant(op, gates, **options)
    graph, unseen = graph_of(model), feeds(model, 1, 32)
    pruned, shared = without_odd(graph, Calibration.from_arrays(feeds(model, 0, 512)))
    before = distance(graph, pruned, unseen)
    assert apply(Reconstruct(), pruned, shared).changed
    assert distance(graph, pruned, unseen) < min(1e-3, before / 50)


@pytest.mark.parametrize("name", ["lstm", "lstm_bidirectional", "gru", "lstm_stacked"])
def test_gates_are_what_a_removal_leaves_of_them(name: str) -> None:
    graph = graph_of(ZOO[name]())
    pruned, shared = graph.copy(), Context(OrtRunner(1), graph)
    PassManager.parse("select-channels{keep=0.6},remove-channels").run(pruned, shared)
    reference = shared.plan.reference
    assert reference is not None
    shapes = reference.channels.context.shapes
    for node in (node for node in graph.nodes if node.op in ("LSTM", "GRU")):
        first = next(tensor.name for tensor in node.outputs if tensor.name)
        wanted = recurrent.gates(node, shared.plan.kept[first], shapes[first], graph.opset)
        left = recurrent.matrix(pruned.node(node.name))
        columns = shared.plan.kept.get(node.inputs[0].name)
        assert left.shape[1] < recurrent.matrix(node).shape[1]
        np.testing.assert_array_equal(left, wanted if columns is None else wanted[columns.places.ravel()])
