"""Explanations: what couples and pins channels, by the shortest way, in words."""

from itertools import pairwise

import networkx as nx
import pytest
from oracle import graph_of
from zoo import ZOO
from zoo.builder import Builder

from optimise_onnx.ir.errors import UsageError
from optimise_onnx.passes.analysis.channels.groups import Channels, analyse
from optimise_onnx.passes.analysis.channels.why import Layer, Why, explain

_LINES = 14


def channels_of(name: str) -> Channels:
    return analyse(graph_of(ZOO[name]()))


def why(network: str, name: str) -> Why:
    return explain(channels_of(network), name)


def nodes(layer: Layer) -> list[str]:
    return [step.node for step in layer.way]


def stream(blocks: int) -> Channels:
    """One stage of a residual network."""
    b = Builder("stream")
    h = b.conv_relu(b.input("x", ["N", 3, 4, 4]), 8)
    for _ in range(blocks):
        h = b.relu(b.add(b.conv(b.conv_relu(h, 8), 8), h))
    return analyse(graph_of(b.model(b.head(h))))


# --- coupled -----------------------------------------------------------------------------------------------


def test_a_residual_addition_couples_the_layers_that_write_to_the_stream() -> None:
    (part,) = explain(stream(2), "add_0_out").parts
    assert (part.group, part.units, part.cells) == ("conv_0_out", 8, 1)
    assert {layer.node: nodes(layer) for layer in part.makers} == {
        "conv_2": ["add_0"],
        "conv_0": ["add_0", "relu_0"],
        "conv_4": ["relu_2", "add_1"],
    }
    assert {layer.node for layer in part.readers} == {"conv_1", "conv_3", "gemm_0"}


@pytest.mark.parametrize("tensor", ["conv_0_out", "conv_4_out", "relu_4_out"])
def test_a_way_is_a_shortest_one_and_leads_where_it_says(tensor: str) -> None:
    """Against all ways of the coupling graph, with and without each of its nodes."""
    channels = stream(2)
    found = nx.MultiGraph(channels.coupling())
    for layer in (layer for part in explain(channels, tensor).parts for layer in part.makers):
        there = [step.tensor for step in layer.way]
        one = next(place for place in found if place.tensor == tensor)
        other = next(place for place in found if place.tensor == f"{layer.node}_out")
        ways = list(nx.all_simple_paths(found, one, other)) or [[one]]
        assert len(there) + 1 == min(map(len, ways))
        for here, step in zip([tensor, *there], layer.way, strict=False):
            assert any(
                step.node in found.get_edge_data(a, b)
                for a, b in ((a, b) for a in found for b in found[a])
                if a.tensor == here and b.tensor == step.tensor
            )


def test_a_squeeze_and_excite_gate_is_coupled_by_its_product() -> None:
    (part,) = why("se_conv", "mul_0_out").parts
    gate = next(layer for layer in part.makers if layer.node == "conv_2")
    assert nodes(gate) == ["mul_0", "sigmoid_0"]
    assert gate.way[0].why == "its operands are multiplied element by element"


def test_a_grouped_convolution_needs_equal_counts() -> None:
    (part,) = why("grouped_conv", "relu_0_out").parts
    assert [layer.node for layer in part.balancers] == ["conv_1"] and not part.balancers[0].way
    assert part.cells == 4
    assert "which Conv 'conv_1' needs" in str(why("grouped_conv", "relu_0_out"))


def test_a_channel_shuffle_is_gone_through_node_by_node() -> None:
    channels = channels_of("channel_shuffle")
    ways = [layer.way for part in explain(channels, "concat_0_out").parts for layer in part.makers]
    shuffled = next(way for way in ways if "Transpose" in [step.op for step in way])
    assert [step.op for step in shuffled][:3] == ["Reshape", "Transpose", "Reshape"]
    assert {step.why for step in shuffled} == {"it passes channels on"}


def test_a_shared_constant_is_named_on_the_way() -> None:
    b = Builder("shared")
    x = b.input("x", ["N", 3, 4, 4])
    weight = b.weight([4, 3, 3, 3])
    first, second = (b.conv_with(x, [weight, b.vector(4)]) for _ in range(2))
    channels = analyse(graph_of(b.model(b.head(b.conv(first, 5)), b.head(b.conv(second, 5)))))
    assert "made by Conv 'conv_1'  through Conv 'conv_0' with 'weight_0', Conv 'conv_1'" in str(
        explain(channels, first)
    )


def test_a_shared_vector_couples_nothing() -> None:
    b = Builder("merged")
    x, bias = b.input("x", ["N", 3, 4, 4]), b.vector(4)
    first, second = (b.conv_with(x, [b.weight([4, 3, 3, 3]), bias]) for _ in range(2))
    channels = analyse(graph_of(b.model(b.head(b.conv(first, 5)), b.head(b.conv(second, 5)))))
    assert "free, nothing couples them" in str(explain(channels, first))


def test_what_nothing_couples_is_free() -> None:
    assert "free, nothing couples them" in str(why("mlp", "gemm_0_out"))
    assert "free" not in str(explain(stream(1), "conv_0_out"))


def test_parts_of_a_concatenation_are_explained_one_by_one() -> None:
    parts = why("densenet", "concat_0_out").parts
    assert [[layer.node for layer in part.makers] for part in parts] == [["conv_0"], ["conv_2"]]
    assert [(part.indices[0], part.indices[-1]) for part in parts] == [(0, 23), (24, 39)]


# --- pinned ------------------------------------------------------------------------------------------------


def test_an_output_of_the_model_is_pinned_where_it_stands() -> None:
    (part,) = why("mlp", "gemm_4_out").parts
    (stop,) = part.stops
    assert part.group is None and not stop.way
    assert (stop.pin.node, stop.pin.op, stop.pin.why) == ("gemm_4", "Gemm", "'gemm_4_out' is an output of the model")


def test_a_pin_is_reached_by_the_nodes_between() -> None:
    """Before the pin and beside it: the layer whose output is added to what Softmax reads."""
    b = Builder("normed")
    h = b.matmul(b.input("x", ["N", 5, 6]), 8, bias=False)
    h = b.add(b.matmul(b.gelu(h), 8, bias=False), h)
    channels = analyse(graph_of(b.model(b.matmul(b.node("Softmax", [h], axis=-1), 4))))
    (part,) = explain(channels, "matmul_0_out").parts
    (stop,) = part.stops
    assert stop.pin.op == "Softmax" and [step.op for step in stop.way] == ["Add"]
    said = str(explain(channels, "matmul_0_out"))
    assert "pinned, they have to stay" in said and f"through Add '{stop.way[0].node}'" in said
    assert "what would help: channels inside the block" in said


def test_a_tensor_behind_a_pin_is_explained_by_it() -> None:
    found = why("lrn", "lrn_0_out")
    assert not found.parts and [pin.op for pin in found.behind] == ["LRN"]
    assert "it normalises over these channels" in str(found)
    assert str(why("mlp", "x")) == "'x' is an input of the model; no removal can take channels of it"


def test_channels_that_padding_adds_to_pinned_ones_are_pinned_with_them() -> None:
    b = Builder("padded")
    x = b.input("x", ["N", 3, 4, 4])
    h = b.relu(b.conv(x, 4))
    padded = b.node("Pad", [h, b.ints(0, 0, 0, 0, 0, 2, 0, 0), b.const(0.0)])
    channels = analyse(graph_of(b.model(b.head(b.conv(padded, 5)), h)))
    assert all(part.stops for part in explain(channels, padded).parts)


# --- names and words ---------------------------------------------------------------------------------------


def test_a_node_stands_for_what_it_makes() -> None:
    channels = stream(1)
    assert explain(channels, "add_0") == explain(channels, "add_0_out")


def test_an_unknown_name_is_refused_with_close_ones() -> None:
    with pytest.raises(UsageError, match="no tensor and no node called 'gemm_0_ou'") as caught:
        why("mlp", "gemm_0_ou")
    assert "did you mean 'gemm_0_out' or" in caught.value.hint
    with pytest.raises(UsageError) as caught:
        why("mlp", "§")
    assert "analyse lists" in caught.value.hint


def test_a_long_stream_is_answered_in_a_few_lines() -> None:
    answer = explain(stream(27), "add_13_out")
    said = str(answer).splitlines()
    assert len(said) <= _LINES
    assert "which 28 layers make" in said[1]
    assert any("and by 23 more layers" in line for line in said)
    ways = [layer.way for part in answer.parts for layer in part.makers]
    assert all(len(near) <= len(far) for near, far in pairwise(ways))


def test_many_parts_are_not_all_listed() -> None:
    b = Builder("many")
    x = b.input("x", ["N", 3, 4, 4])
    h = b.concat(*(b.conv(x, 2) for _ in range(5)))
    said = str(explain(analyse(graph_of(b.model(b.head(b.conv(h, 4))))), h))
    assert "and 2 more parts" in said
