"""Activations are what a whole run gives, come from the nearest that are held, and are bounded."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from oracle import graph_of
from zoo import ZOO, feeds
from zoo.builder import Builder

from optimise_onnx.backends.ort import OrtRunner, OrtSession
from optimise_onnx.ir.feeds import Calibration, Feeds
from optimise_onnx.ir.graph import Graph
from optimise_onnx.passes.analysis.statistics import activations
from optimise_onnx.passes.analysis.statistics.activations import Activations
from optimise_onnx.passes.analysis.statistics.cone import changed_nodes, cone
from optimise_onnx.passes.analysis.statistics.judge import judge

Array = NDArray[Any]


@dataclass
class Counting:
    """A runner that remembers how many nodes each session has."""

    ran: list[int] = field(default_factory=list)

    def session(self, graph: Graph, *, outputs: Sequence[str] | None = None, exact: bool = False) -> OrtSession:
        self.ran.append(len(graph.nodes))
        return OrtRunner(1).session(graph, outputs=outputs, exact=True)


def network(name: str) -> tuple[Graph, list[Feeds], list[str], list[dict[str, Array]]]:
    """Return a graph, batches, the names of its inner tensors, and their values."""
    model = ZOO[name]()
    graph = graph_of(model)
    batches = list(Calibration.from_arrays(feeds(model, 0, 5)).batches(2))
    names = [tensor.name for node in graph.nodes for tensor in node.outputs if tensor.name]
    session = OrtRunner(1).session(graph, outputs=names, exact=True)
    return graph, batches, names, [session.run(part) for part in batches]


@pytest.mark.parametrize("name", ["resnet_projection", "densenet", "vit", "lstm_bidirectional", "qdq_activations"])
@pytest.mark.parametrize("order", [1, -1])
def test_every_tensor_is_what_one_run_gives(name: str, order: int) -> None:
    graph, batches, names, wanted = network(name)
    held = Activations(graph, batches, Counting())
    for tensor in names[::order]:
        for piece, whole in zip(held.pieces([tensor])[tensor], wanted, strict=True):
            np.testing.assert_array_equal(piece, whole[tensor], tensor)


def test_in_order_every_node_runs_once() -> None:
    graph, batches, names, _ = network("resnet_projection")
    runner = Counting()
    held = Activations(graph, batches, runner)
    for tensor in names * 2:
        held.pieces([tensor])
    assert sum(runner.ran) == len(graph.nodes)


def test_what_exceeds_memory_lies_on_disk_and_the_rest_is_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph, batches, names, wanted = network("resnet_projection")
    each = max(sum(whole[name].nbytes for whole in wanted) for name in names)
    monkeypatch.setattr(activations, "_IN_MEMORY", 1000)
    monkeypatch.setattr(activations, "_IN_ALL", 3 * each)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    held = Activations(graph, batches, Counting())
    for tensor in [*names, *names]:
        pieces = held.pieces([tensor])[tensor]
        assert sum(file.stat().st_size for file in tmp_path.rglob("*.npy")) <= 4 * each
        for piece, whole in zip(pieces, wanted, strict=True):
            np.testing.assert_array_equal(piece, whole[tensor], tensor)
    assert list(tmp_path.rglob("*.npy"))
    del held
    assert not list(tmp_path.iterdir())


def test_outputs_of_one_node_are_held_apart() -> None:
    """A Split of which one part is held runs again for the other part, and gives both."""
    graph, batches, _, wanted = network("split_unequal")
    parts = [tensor.name for node in graph.nodes if node.op == "Split" for tensor in node.outputs]
    held = Activations(graph, batches, OrtRunner(1))
    held.pieces(parts[:1])
    readers = [tensor.name for name in parts for node in graph.tensors()[name].consumers for tensor in node.outputs]
    for name, pieces in held.pieces(readers).items():
        for piece, whole in zip(pieces, wanted, strict=True):
            np.testing.assert_allclose(piece, whole[name], atol=1e-5, err_msg=name)


def test_a_copy_with_other_numbers_changes_what_follows() -> None:
    b = Builder("fork")
    x = b.input("x", ["N", 4])
    y = b.relu(b.matmul(x, 5, bias=False))
    model = b.model(b.matmul(y, 3, bias=False), b.relu(x))
    graph = graph_of(model)
    assert changed_nodes(graph, graph.copy()) == set()
    edited = graph.copy()
    second = edited.tensors()["weight_1"]
    edited.set_array(second, 2 * second.array)
    (reader,) = second.consumers
    assert changed_nodes(graph, edited) == {reader.name}
    assert len(changed_nodes(graph, graph_of(model))) == 3  # no copy: all but what reads no constant
    part = cone(edited, [edited.outputs[0].name], lambda tensor: tensor.name == y)
    assert part.nodes == {reader.name} and part.reads == (y,)


@pytest.mark.parametrize("change", ["operator", "attribute", "input", "new"])
def test_every_edit_counts(change: str) -> None:
    b = Builder("edits")
    x = b.input("x", ["N", 4])
    soft = b.node("Softmax", [b.node("Abs", [x])], axis=1)
    graph = graph_of(b.model(b.node("Neg", [soft])))
    edited = graph.copy()
    first, middle, last = edited.nodes
    if change == "operator":
        middle.set_op("LogSoftmax")
    elif change == "attribute":
        middle.set_attribute("axis", 0)
    elif change == "input":
        middle.set_input(0, edited.inputs[0])
    else:
        between = edited.variable("between", np.float32)
        edited.insert("Exp", [first.outputs[0]], [between], before=middle)
        middle.set_input(0, between)
    assert changed_nodes(graph, edited) >= {middle.name, last.name}
    assert first.name not in changed_nodes(graph, edited)


def test_a_judge_keeps_the_original_when_the_callers_graph_is_edited() -> None:
    b = Builder("edited")
    model = b.model(b.gemm(b.input("x", ["N", 4]), 3))
    graph = graph_of(model)
    known = judge(graph, Calibration.from_arrays(feeds(model, 0, 20)), OrtRunner(1))
    graph.set_array(graph.tensors()["weight_0"], -graph.tensors()["weight_0"].array)
    assert known.of(graph) > 0.01


def test_a_branch_chosen_by_a_condition_counts_as_changed() -> None:
    model = ZOO["if_branches"]()
    graph, inputs = graph_of(model), feeds(model, 0, 4)
    held = Activations(graph, [inputs], OrtRunner(1))
    changed = changed_nodes(graph, graph.copy())
    assert {node.name for node in graph.nodes if node.has_subgraphs} <= changed
    names = [tensor.name for tensor in graph.outputs]
    (got,) = held.outputs(graph.copy(), changed, names)
    wanted = OrtRunner(1).session(graph).run(inputs)
    for name in names:
        np.testing.assert_allclose(got[name], wanted[name], rtol=1e-5, atol=1e-6)
