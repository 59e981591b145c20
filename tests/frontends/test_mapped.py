"""Large weights stay in their files: read where they lie, used by onnxruntime there, and noticed when they change."""

import gc
from pathlib import Path

import numpy as np
import onnx
import pytest

from optimise_onnx.backends.ort import OrtRunner
from optimise_onnx.frontends.load import load
from optimise_onnx.ir import mapped
from optimise_onnx.ir.errors import InvalidModelError
from optimise_onnx.ir.graph import Graph
from tests.zoo.builder import Builder

FEEDS = {"x": np.linspace(-1, 1, 2 * 80, dtype=np.float32).reshape(2, 80)}


def model() -> onnx.ModelProto:
    b = Builder("mapped")
    return b.model(b.matmul(b.relu(b.matmul(b.input("x", ["N", 80]), 90)), 70))


@pytest.fixture(params=["one file", "beside"])
def path(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(mapped, "WORTH", 1)
    found = tmp_path / "in.onnx"
    onnx.save(model(), found, save_as_external_data=request.param == "beside", location="weights", size_threshold=0)
    return found


def large(graph: Graph) -> list[np.ndarray]:
    return [tensor.array for tensor in graph.constants() if tensor.array.nbytes > mapped.LEAST]


def test_weights_are_the_same_where_they_lie(path: Path) -> None:
    found, wanted = load(path, OrtRunner(1))[0], load(model())[0]
    assert len(large(found)) == 2 and all(mapped.place_of(array) for array in large(found))
    assert not any(mapped.place_of(array) for array in large(wanted))
    assert found.to_model() == wanted.to_model()
    (got,), (expected,) = (OrtRunner(1).session(graph).run(FEEDS).values() for graph in (found, wanted))
    np.testing.assert_array_equal(got, expected)


def test_new_weights_lie_in_files_that_go_with_them(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mapped, "_SPILLED", 1)
    graph = load(path)[0]
    tensor = next(each for each in graph.constants() if each.array.nbytes > mapped.LEAST)
    graph.set_array(tensor, 2 * tensor.array)
    place = mapped.place_of(tensor.array)
    assert place is not None and Path(place.path).is_file()
    (got,) = OrtRunner(1).session(graph).run(FEEDS).values()
    (wanted,) = OrtRunner(1).session(load(graph.to_model())[0]).run(FEEDS).values()
    np.testing.assert_array_equal(got, wanted)
    del graph, tensor
    gc.collect()
    assert not Path(place.path).exists()


def test_a_file_that_has_changed_is_no_place_any_more(path: Path) -> None:
    graph = load(path)[0]
    for file in path.parent.iterdir():
        file.rename(file.with_suffix(".old"))
    onnx.save(model(), path)
    assert not any(mapped.place_of(array) for array in large(graph))
    (got,) = OrtRunner(1).session(graph).run(FEEDS).values()  # from what is mapped still
    (wanted,) = OrtRunner(1).session(load(model())[0]).run(FEEDS).values()
    np.testing.assert_array_equal(got, wanted)


def test_a_model_that_changes_while_it_is_read(path: Path) -> None:
    tensor = onnx.TensorProto(data_type=1, dims=[4])
    mapped.map_file(path)
    mapped.lay_out(tensor, path, 0, 16)
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(InvalidModelError, match="changed while it was read"):
        mapped.values(tensor)


def test_what_a_model_says_itself_of_files_is_not_believed(path: Path) -> None:
    made = model()
    tensor = made.graph.initializer[0]
    mapped.lay_out(tensor, path.parent / "other", 0, len(tensor.raw_data))
    with pytest.raises(InvalidModelError, match="lie in another file"):
        load(made)
