"""Weights that do not fit into one file lie beside the model."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from optimise_onnx.ir.graph import Graph
from optimise_onnx.tools import external
from optimise_onnx.tools.files import write

from .conftest import Run

SIZE = 3000


def model() -> onnx.ModelProto:
    """Weights in the graph, in a Constant, and in a graph inside it."""

    def stored(name: str, value: float) -> onnx.TensorProto:
        return numpy_helper.from_array(np.full(SIZE, value, np.float32), name)

    def declared(name: str) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, [SIZE])

    then = helper.make_graph(
        [helper.make_node("Mul", ["x", "inner"], ["t"])], "then", [], [declared("t")], [stored("inner", 2)]
    )
    other = helper.make_graph([helper.make_node("Identity", ["x"], ["o"])], "other", [], [declared("o")])
    nodes = [
        helper.make_node("Constant", [], ["k"], value=stored("", 3)),
        helper.make_node("Add", ["x", "w"], ["a"]),
        helper.make_node("Mul", ["a", "k"], ["b"]),
        helper.make_node("If", ["yes"], ["c"], then_branch=then, else_branch=other),
        helper.make_node("Sum", ["b", "c", "small"], ["y"]),
    ]
    weights = [stored("w", 1), numpy_helper.from_array(np.float32([5]), "small")]
    ends = [declared("x"), helper.make_tensor_value_info("yes", TensorProto.BOOL, [])]
    graph = helper.make_graph(nodes, "g", ends, [declared("y")], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def test_small_models_are_one_file(tmp_path: Path) -> None:
    graph = Graph.of(model())
    files = external.model_files(graph, tmp_path / "out.onnx")
    assert list(files) == [tmp_path / "out.onnx"]
    assert b"".join(files[tmp_path / "out.onnx"]) == graph.to_model().SerializeToString(deterministic=True)


@pytest.mark.parametrize("name", ["out.onnx", "o" * 250 + ".onnx"])
def test_large_weights_lie_beside(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(external, "_LIMIT", 4 * 3 * SIZE)
    out = tmp_path / name
    files = external.model_files(Graph.of(model()), out)
    assert len(files) == 2
    write(files)
    assert out.stat().st_size < 1500
    onnx.checker.check_model(out)
    feeds = {"x": np.arange(SIZE, dtype=np.float32), "yes": np.array(True)}
    (got,) = onnxruntime.InferenceSession(out).run(None, feeds)
    np.testing.assert_array_equal(got, (feeds["x"] + 1) * 3 + 2 * feeds["x"] + 5)
    assert external.locations(out) == {path.resolve() for path in tmp_path.iterdir() if path != out}


def test_a_compressed_model_too(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(external, "_LIMIT", 1000)
    found = run("compress", "in.onnx", "-o", "out.onnx", "--target", "macs=0.6x", "--align", "1", "--report", "r.json")
    assert found.code == 0 and found.out.endswith(f"wrote {folder}/out.onnx.data, out.onnx and r.json\n")
    onnxruntime.InferenceSession("out.onnx")
    assert Path("out.onnx.data").stat().st_size > Path("out.onnx").stat().st_size
    assert run("verify", "out.onnx", "out.onnx").code == 0


def test_what_cannot_be_read_has_no_weights_outside(tmp_path: Path) -> None:
    (tmp_path / "in.onnx").write_bytes(b"garbled")
    assert external.locations(tmp_path / "in.onnx") == external.locations(tmp_path / "none") == set()
