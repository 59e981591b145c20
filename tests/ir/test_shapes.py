"""Shapes by inference: symbolic as declared, concrete at chosen sizes, and without copies of large weights."""

import numpy as np
import pytest
from oracle import graph_of
from zoo import ZOO, feeds
from zoo.builder import Builder

from optimise_onnx.ir.errors import InvalidModelError
from optimise_onnx.ir.graph import Graph
from optimise_onnx.ir.shapes import concrete, input_sizes, skeleton, symbolic


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


def test_symbols_get_one_size_each_the_first_of_a_shape_is_the_batch() -> None:
    b = Builder("sizes")
    one, two = b.input("one", ["N", 3, "H", "W"]), b.input("two", ["N", "H", 5])
    graph = graph_of(b.model(one, two))
    assert input_sizes(graph, 2, 7) == {"one": (2, 3, 7, 7), "two": (2, 7, 5)}


def test_a_symbol_that_is_a_batch_anywhere_is_one_everywhere() -> None:
    b = Builder("transposed")
    graph = graph_of(b.model(b.input("one", ["N", 3]), b.input("two", [4, "N"])))
    assert input_sizes(graph, 2, 7) == {"one": (2, 3), "two": (4, 2)}


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
