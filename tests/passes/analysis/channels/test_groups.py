"""Groups, cells and floors of networks whose channels are known by hand, and what may not be removed."""

import numpy as np
import pytest
from oracle import checked, graph_of, half, known, shapes
from zoo import ARCHITECTURES, ZOO
from zoo.builder import Builder

from optimise_onnx.passes.analysis.channels.groups import Channels, Group, analyse


def channels_of(name: str) -> Channels:
    return analyse(graph_of(ZOO[name]()))


def reasons(channels: Channels) -> list[str]:
    return [f"{pin.op}: {pin.why}" for _, pin in channels.pins]


# --- groups and cells --------------------------------------------------------------------------------------


def test_a_chain_has_one_group_a_layer() -> None:
    assert shapes(channels_of("mlp")) == {f"gemm_{i}_out": (1, width) for i, width in enumerate((64, 64, 64, 48))}


def test_groups_of_a_convolution_keep_equally_many() -> None:
    b = Builder("four")
    h = b.conv_relu(b.input("x", ["N", 3, 4, 4]), 8)
    h = b.relu(b.conv(h, 12, group=4))
    assert shapes(checked(b, b.head(h, 3))) == {"conv_0_out": (4, 2), "conv_1_out": (4, 3)}


def test_four_groups_then_six_share_cells_of_a_twelfth() -> None:
    b = Builder("four_then_six")
    h = b.conv_relu(b.input("x", ["N", 3, 4, 4]), 24)
    h = b.relu(b.add(b.conv(h, 24, group=4), b.conv(h, 24, group=6)))
    found = checked(b, b.head(h, 3))
    assert shapes(found) == {"conv_0_out": (12, 2), "conv_1_out": (12, 2)}
    cells = found.groups[0].cells
    places = [np.flatnonzero(np.isin(found.context.labels["conv_0_out"].atoms.ravel(), cell)) for cell in cells]
    for groups in (4, 6):
        block = 24 // groups
        assert all(len({int(place) // block for place in cell}) == 1 for cell in places)


def test_a_channel_that_lies_twice_in_a_block_counts_twice() -> None:
    """Blocks [a a b c] and [d d e f] lose as many places only when their doubled channels go together."""
    b = Builder("doubled")
    h = b.conv_relu(b.input("x", ["N", 3, 4, 4]), 6)
    h = b.conv(b.gather(h, [0, 0, 1, 2, 3, 3, 4, 5], axis=1), 8, group=2)
    found = checked(b, b.head(h, 3), seeds=10)
    assert shapes(found)["conv_0_out"] == (6, 1)


def test_fused_qkv_ties_what_queries_and_keys_multiply() -> None:
    found = channels_of("qkv_gather")
    assert shapes(found) == {"matmul_0_out": (1, 24), "matmul_1_out": (8, 6), "matmul_4_out": (1, 24)}
    assert found.groups[1].members == ("matmul_1_out", "matmul_1_out#1")
    query, key, value = found.context.labels["matmul_1_out"].atoms.reshape(3, 24)
    assert (query == key).all()
    assert not np.isin(query, value).any()


def test_a_shuffle_keeps_the_same_places_of_every_group() -> None:
    """Otherwise what is left would not interleave in the order of the labels."""
    b = Builder("shuffled")
    h = b.conv_relu(b.input("x", ["N", 3, 4, 4]), 8)
    h = b.shuffle(b.conv(h, 8, group=2), 2)
    found = checked(b, b.head(b.conv(h, 8, group=2), 3), seeds=10)
    assert shapes(found) == {"conv_0_out": (2, 4), "conv_1_out": (2, 2), "conv_2_out": (2, 4)}
    first, second = found.context.labels["conv_1_out"].atoms.reshape(2, 4)
    assert (first == second).all()


def test_the_spine_of_an_option_a_network_splits_by_where_channels_lie() -> None:
    """Zero padding adds channels stage by stage: each stage's own can go without those of the stages before."""
    graph = graph_of(ZOO["option_a_spine"]())
    found = analyse(graph)
    last = [node.outputs[0].name for node in graph.nodes if node.op == "Add"][-1]
    spine = found.context.labels[last].atoms.ravel()
    groups = {group.name: group.cells.shape for group in found.groups if np.isin(group.cells, spine).any()}
    assert groups == {"conv_0_out": (1, 8), "conv_2_out": (1, 8), "conv_4_out": (1, 16)}


def test_a_unit_takes_one_class_out_of_every_cell() -> None:
    group = Group("g", np.arange(6).reshape(2, 3), ("g",))
    assert group.width == 3


# --- floors ------------------------------------------------------------------------------------------------


def test_a_half_that_is_used_alone_may_not_vanish() -> None:
    b = Builder("halves")
    h = b.conv_relu(b.input("x", ["N", 3, 4, 4]), 6)
    left, right = b.split(h, 2, 4)
    found = checked(b, b.head(b.conv(left, 4), 3), b.head(right, 3))
    labels = found.context.labels
    floors = [set(floor.tolist()) for floor in found.floors]
    for name in ("conv_0_out", "split_0_out0", "split_0_out1"):
        assert set(labels[name].atoms.ravel().tolist()) in floors


def test_a_tensor_with_fixed_channels_has_no_floor() -> None:
    b = Builder("fixed")
    x = b.input("x", ["N", 3, 4, 4])
    h = b.concat(b.conv(x, 4), x)
    found = checked(b, b.head(b.conv(h, 5), 3))
    assert sorted(len(floor) for floor in found.floors) == [4, 5]


# --- pins --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("attention_fused", "Attention: this operator has no rule, so nothing is assumed about it"),
        ("topk_channels", "TopK: this operator has no rule, so nothing is assumed about it"),
        ("if_branches", "If: channels do not cross into its branches"),
        ("loop_body", "Loop: channels do not cross into its body"),
        ("lrn", "LRN: it normalises over these channels, so removing some changes the others"),
        ("shape_channels_divided", "Reshape: its target shape is computed at run time"),
        ("multi_consumer_output", "Relu: 'relu_0_out' is an output of the model"),
    ],
)
def test_what_stays_is_pinned_with_a_reason(name: str, expected: str) -> None:
    assert expected in reasons(channels_of(name))


def test_pins_name_a_node_an_operator_and_the_tensor_that_stays() -> None:
    for name in ZOO:
        _, graph, found = known(name)
        operators = {node.name: node.op for node in graph.nodes}
        for tensor, pin in found.pins:
            assert tensor in graph.tensors(), name
            assert operators[pin.node] == pin.op, name
            assert pin.why, name


def test_every_tensor_that_a_pin_keeps_is_named() -> None:
    b = Builder("both")
    x = b.input("x", ["N", 3, 4, 4])
    joined = b.concat(b.conv(x, 4), b.conv(x, 5))
    found = analyse(graph_of(b.model(b.head(b.softmax(joined, 1), 3))))
    assert [tensor for tensor, pin in found.pins if pin.op == "Softmax"] == ["conv_0_out", "conv_1_out"]


def test_a_chain_of_pins_settles_however_long_it_is() -> None:
    """Each grouped convolution finds half of its block fixed only after the one before has been pinned."""
    b = Builder("chain")
    x = b.input("x", ["N", 2, 2, 2])
    h, ends = b.node("Identity", [x]), []
    for _ in range(20):
        following = b.conv(x, 2, 1)
        ends.append(b.conv(b.concat(h, following), 4, 1, group=2))
        h = following
    found = analyse(graph_of(b.model(b.head(b.concat(*ends), 3))))
    assert all("conv" not in group.name or group.cells.shape == (2, 2) for group in found.groups)


# --- repeatability -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_same_model_gives_the_same_result(name: str) -> None:
    first, second = channels_of(name), channels_of(name)
    assert first.pins == second.pins
    assert [(g.name, g.members, g.cells.tolist()) for g in first.groups] == [
        (g.name, g.members, g.cells.tolist()) for g in second.groups
    ]
    kept = [half(found, np.random.default_rng(0)) for found in (first, second)]
    assert all(np.array_equal(kept[0][group], kept[1][group]) for group in kept[0])
