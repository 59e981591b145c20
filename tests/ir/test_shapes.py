"""Shapes by inference: symbolic as declared, concrete at chosen sizes, and without copies of large weights."""

import pickle

import numpy as np
import pytest
from oracle import graph_of
from zoo import ZOO, feeds
from zoo.builder import Builder

from optimise_onnx.ir.errors import InvalidModelError
from optimise_onnx.ir.graph import Graph
from optimise_onnx.ir.shapes import concrete, input_sizes, skeleton, symbolic
from optimise_onnx.ir.sizes import Sizes


def head() -> Graph:
    """[N, 3, H, W] through a Conv of stride 2 to [N, 5]."""
    b = Builder("head")
    return graph_of(b.model(b.gemm(b.flatten(b.gap(b.conv(b.input("x", ["N", 3, "H", "W"]), 8, stride=2))), 5)))


def test_symbols_stay_as_they_are_written() -> None:
    shapes = symbolic(head())
    assert shapes["x"] == ("N", 3, "H", "W")
    assert shapes["globalaveragepool_0_out"] == ("N", 8, 1, 1)
    assert shapes["conv_0_out"][:2] == ("N", 8)
    assert not any(isinstance(dim, int) for dim in shapes["conv_0_out"][2:])


def test_shapes_go_on_behind_a_scaler() -> None:
    b = Builder("scaled")
    scaled = b.node("Scaler", [b.input("x", ["N", 12], np.int64)], domain="ai.onnx.ml", offset=[0.0], scale=[2.0])
    graph = graph_of(b.model(b.matmul(b.declare(scaled, ["N", 12]), 5)))
    assert symbolic(graph)["matmul_0_out"] == ("N", 5)


def test_given_sizes_make_every_shape_concrete() -> None:
    shapes = concrete(head(), {"x": (4, 3, 9, 16)})
    assert shapes["conv_0_out"] == (4, 8, 5, 8)
    assert shapes["gemm_0_out"] == (4, 5)
    assert shapes["weight_0"] == (8, 3, 3, 3)


@pytest.mark.parametrize("name", ["vgg_flatten", "resnext", "unet", "vit", "two_inputs", "gqa_rope", "group_norm_21"])
def test_concrete_shapes_are_those_of_a_run(name: str) -> None:
    model = ZOO[name]()
    graph, inputs = graph_of(model), feeds(model, seed=0)
    shapes = concrete(graph, {key: array.shape for key, array in inputs.items()})
    assert all(tensor.name in shapes for node in graph.nodes for tensor in node.outputs)


def test_a_model_that_inference_refuses_is_an_error() -> None:
    b = Builder("wrong")
    model = b.model(b.matmul(b.input("x", ["N", 4]), 3))
    model.graph.node[0].domain = "never.imported"
    with pytest.raises(InvalidModelError, match="shape inference refuses the model"):
        symbolic(graph_of(model))


def test_a_shape_that_cannot_be_is_left_out() -> None:
    b = Builder("wrong")
    graph = graph_of(b.model(b.matmul(b.input("x", ["N", 4]), 3)))
    graph.set_array(graph.tensors()["weight_0"], np.zeros((5, 3), np.float32))
    assert "matmul_0_out" not in concrete(graph, {"x": (2, 4)})


def test_input_sizes_are_those_kept_with_the_graph() -> None:
    graph = head()
    graph.sizes = Sizes({"H": 7, "W": 9})
    assert input_sizes(graph, 2) == input_sizes(graph.copy(), 2) == {"x": (2, 3, 7, 9)}
    assert pickle.loads(pickle.dumps(graph.sizes)) == graph.sizes


def test_another_version_of_a_graph_keeps_its_sizes() -> None:
    graph, other = head(), head()
    other.sizes = Sizes({"H": 7, "W": 9})
    graph.become(other)
    assert graph.sizes == other.sizes
    graph.sizes = Sizes({"H": 5, "W": 5})
    graph.become(other)
    assert graph.sizes == Sizes({"H": 5, "W": 5})


def test_a_graph_without_sizes_gets_the_first_that_inference_can_follow_and_keeps_them() -> None:
    graph = head()
    assert input_sizes(graph, 2) == {"x": (2, 3, 32, 32)}
    assert graph.sizes == Sizes({"H": 32, "W": 32}, frozenset("HW"))
    b = Builder("sixteen")
    graph = graph_of(b.model(b.add(b.input("x", ["N", "S"]), b.vector(16))))
    assert input_sizes(graph, 1) == {"x": (1, 16)}


def test_sizes_that_do_not_name_every_open_dimension_are_chosen_again() -> None:
    graph = head()
    graph.sizes = Sizes({"H": 7})
    assert input_sizes(graph, 1) == {"x": (1, 3, 32, 32)}


def test_an_input_without_rank_is_an_error() -> None:
    graph = head()
    graph.inputs[0]._raw.shape = None
    with pytest.raises(InvalidModelError, match="input 'x' has no declared rank"):
        input_sizes(graph, 1)


def test_a_skeleton_holds_no_large_weight_and_leaves_the_graph_alone() -> None:
    b = Builder("large")
    graph = graph_of(b.model(b.matmul(b.input("x", ["N", 100]), 50)))
    light = skeleton(graph)
    assert light.ByteSize() < 1500
    assert {value.name for value in light.graph.input} == {"x", "weight_0"}
    assert graph.tensors()["weight_0"].array.shape == (100, 50)
    assert symbolic(graph)["add_0_out"] == ("N", 50)
