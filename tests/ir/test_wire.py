"""Models with their large weights apart are the same models, byte by byte."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from optimise_onnx.ir import wire
from optimise_onnx.ir.graph import Graph

LEAST = 100


def model() -> onnx.ModelProto:
    """y = ((x + large) + small) * second, with texts behind the weights' values."""
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 300]) for name in "xy")
    arrays = {"large": np.arange(300), "small": np.ones(1), "second": np.full(300, 2.0)}
    weights = [numpy_helper.from_array(array.astype(np.float32), name) for name, array in arrays.items()]
    weights[0].doc_string = "said of it"
    nodes = [
        helper.make_node("Add", ["x", "large"], ["a"]),
        helper.make_node("Add", ["a", "small"], ["b"]),
        helper.make_node("Mul", ["b", "second"], ["y"]),
    ]
    graph = helper.make_graph(nodes, "g", [x], [y], weights, doc_string="a graph")
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, producer_name="test")
    made.metadata_props.add(key="k", value="v")
    return made


def data(of: bytes) -> np.ndarray:
    return np.frombuffer(of, np.uint8)


def test_weights_are_told_apart_and_put_back() -> None:
    whole = model().SerializeToString(deterministic=True)
    found = wire.apart(data(whole), LEAST)
    assert found is not None and found.places.keys() == {"large", "second"}
    for tensor in found.model.graph.initializer:
        assert tensor.HasField("raw_data") == (tensor.name == "small")
    values = {name: np.frombuffer(whole[begin:end], np.float32) for name, (begin, end) in found.places.items()}
    np.testing.assert_array_equal(values["large"], np.arange(300))
    assert b"".join(wire.written(found.model, values)) == whole


def test_a_graph_is_written_as_its_model() -> None:
    graph = Graph.of(model())
    light, values = graph.light()
    assert values.keys() == {"large", "second"} and light.ByteSize() < 1000
    whole = graph.to_model().SerializeToString(deterministic=True)
    assert b"".join(wire.written(light, values)) == whole
    assert graph.written_bytes() == len(whole)


@pytest.mark.parametrize("cut", [1, 50, 700, 2000])
def test_what_is_broken_is_left_to_others(cut: int) -> None:
    assert wire.apart(data(model().SerializeToString()[:-cut]), LEAST) is None


def test_a_graph_in_two_parts_is_left_to_others() -> None:
    assert wire.apart(data(2 * model().SerializeToString()), LEAST) is None


@pytest.mark.parametrize("of", [b"", b"\xff" * 20, b"\x00\x01", b"\x3a\xff\xff\xff\xff\x7f"])
def test_what_is_no_model_is_left_to_others(of: bytes) -> None:
    assert wire.apart(data(of), LEAST) is None
