"""Walking a graph step by step gives what one run gives, runs every node once, and edits later nodes safely."""

import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import helper
from oracle import graph_of
from zoo import ZOO, feeds
from zoo.builder import Builder

from optimise_onnx.backends.ort import OrtRunner, OrtSession
from optimise_onnx.ir.feeds import Calibration, batch_size
from optimise_onnx.ir.graph import Graph
from optimise_onnx.passes.analysis.statistics import stepper
from optimise_onnx.passes.analysis.statistics.stepper import Stepper

Array = NDArray[Any]


@dataclass
class Counting:
    """A runner that counts how often each node is put into a session, and remembers what was fed."""

    nodes: Counter[str] = field(default_factory=Counter)

    def session(self, graph: Graph, *, outputs: Sequence[str] | None = None, exact: bool = False) -> OrtSession:
        self.nodes.update(node.name for node in graph.nodes)
        return OrtRunner(1).session(graph, outputs=outputs, exact=True)


def in_one_run(graph: Graph, inputs: Mapping[str, Array], names: Sequence[str], batch: int) -> list[dict[str, Array]]:
    """Return inner tensors of every batch, exactly run."""
    session = OrtRunner(1).session(graph, outputs=names, exact=True)
    return [session.run(part) for part in Calibration.from_arrays(inputs).batches(batch)]


def made(graph: Graph) -> list[list[str]]:
    """Name what each node makes, in order; outputs that onnxruntime may leave out of a run are no concern here."""
    return [[tensor.name for tensor in node.outputs if tensor.name] for node in graph.nodes]


@pytest.mark.parametrize("name", sorted(ZOO.keys() - {"if_branches"})[::3])  # its flag is a scalar, no sample a row
def test_every_tensor_is_what_one_run_gives(name: str) -> None:
    model = ZOO[name]()
    graph, inputs = graph_of(model), feeds(model, 0, 5)
    batch = batch_size(graph, 2)
    wanted = in_one_run(graph, inputs, [tensor for names in made(graph) for tensor in names], batch)
    runner = Counting()
    with Stepper(graph, Calibration.from_arrays(inputs), runner, 2) as steps:
        for names in made(graph):
            steps.advance(names)
            for tensor in names:
                for piece, whole in zip(steps.pieces(tensor), wanted, strict=True):
                    np.testing.assert_array_equal(piece, whole[tensor], tensor)
    assert set(runner.nodes.values()) == {1}


@pytest.mark.parametrize("name", ["resnet_projection", "densenet", "unet", "vit", "lstm_bidirectional"])
def test_tensors_may_be_asked_for_far_apart(name: str) -> None:
    model = ZOO[name]()
    graph, inputs = graph_of(model), feeds(model, 0, 3)
    chosen = [names[0] for names in made(graph)][::5] + [graph.outputs[0].name]
    wanted = in_one_run(graph, inputs, chosen, 2)
    runner = Counting()
    with Stepper(graph, Calibration.from_arrays(inputs), runner, 2) as steps:
        for tensor in chosen:
            steps.advance([tensor])
            for piece, whole in zip(steps.pieces(tensor), wanted, strict=True):
                np.testing.assert_array_equal(piece, whole[tensor], tensor)
    assert set(runner.nodes.values()) == {1}


def test_only_what_is_still_needed_is_held() -> None:
    b = Builder("chain")
    x = b.input("x", ["N", 4])
    names = [x]
    for _ in range(4):
        names.append(b.relu(names[-1]))
    graph = graph_of(b.model(names[-1]))
    with Stepper(graph, Calibration.from_arrays({"x": np.ones((3, 4), np.float32)}), Counting(), 2) as steps:
        for place, name in enumerate(names[1:], 1):
            steps.advance([name])
            assert [known for known in names if steps.has(known)] == names[place : place + 1]


def test_large_tensors_lie_on_disk_until_they_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stepper, "_IN_MEMORY", 1000)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    model = ZOO["resnet_projection"]()
    graph, inputs = graph_of(model), feeds(model, 0, 5)
    names = [tensor for part in made(graph) for tensor in part]
    wanted = in_one_run(graph, inputs, names, 2)
    most = 0
    with Stepper(graph, Calibration.from_arrays(inputs), Counting(), 2) as steps:
        for tensor in names:
            steps.advance([tensor])
            most = max(most, len(list(tmp_path.rglob("*.npy"))))
            for piece, whole in zip(steps.pieces(tensor), wanted, strict=True):
                np.testing.assert_array_equal(piece, whole[tensor])
    assert 3 <= most <= 15  # three batches of at most five tensors at a time
    assert not list(tmp_path.iterdir())


def test_later_nodes_may_be_edited() -> None:
    b = Builder("edited")
    x = b.input("x", ["N", 4])
    first = b.matmul(x, 6, bias=False)
    second = b.matmul(b.relu(first), 3, bias=False)
    graph = graph_of(b.model(second))
    inputs = {"x": np.random.default_rng(0).standard_normal((3, 4)).astype(np.float32)}
    with Stepper(graph, Calibration.from_arrays(inputs), Counting(), 2) as steps:
        steps.advance([first])
        later = graph.tensors()[second].producer
        assert later is not None
        inner = graph.variable("inner", np.float32)
        later.set_outputs([inner])
        graph.insert("Add", [inner, graph.constant("one", np.ones(3, np.float32))], [graph.tensors()[second]])
        graph.sort()
        steps.advance([second])
        got = np.concatenate(list(steps.pieces(second)))
    (wanted,) = OrtRunner(1).session(graph, exact=True).run(inputs).values()
    np.testing.assert_allclose(got, wanted, rtol=1e-6)


def test_a_body_may_use_names_of_the_outer_graph() -> None:
    """The body's node `late` still has to read `a` when the outer node of that name has run."""
    rows = helper.make_tensor_value_info("rows", onnx.TensorProto.FLOAT, ["N", 4])
    bodies = {
        name: helper.make_graph(
            [helper.make_node(op, ["a"], [name], "late")], name, [], [helper.make_empty_tensor_value_info(name)]
        )
        for name, op in (("then", "Abs"), ("else", "Neg"))
    }
    nodes = [
        helper.make_node("Relu", ["rows"], ["a"], "early"),
        helper.make_node("Neg", ["rows"], ["c"], "late"),
        helper.make_node("ReduceMax", ["rows"], ["most"], "most", keepdims=0),
        helper.make_node("Cast", ["most"], ["positive"], "cast", to=onnx.TensorProto.BOOL),
        helper.make_node("If", ["positive"], ["b"], "choice", then_branch=bodies["then"], else_branch=bodies["else"]),
        helper.make_node("Add", ["b", "c"], ["sum"], "sum"),
    ]
    result = helper.make_tensor_value_info("sum", onnx.TensorProto.FLOAT, ["N", 4])
    graph = graph_of(
        helper.make_model(
            helper.make_graph(nodes, "g", [rows], [result]), opset_imports=[helper.make_opsetid("", 17)], ir_version=8
        )
    )
    inputs = {"rows": np.array([[1.0, -2.0, 3.0, -4.0]], np.float32)}
    with Stepper(graph, Calibration.from_arrays(inputs), Counting(), 2) as steps:
        for name in ("c", "a", "most", "sum"):
            steps.advance([name])
        (got,) = steps.pieces("sum")
    np.testing.assert_array_equal(got, [[0.0, 2.0, 0.0, 4.0]])
