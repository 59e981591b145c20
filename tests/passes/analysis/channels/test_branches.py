"""Which groups can go entirely: a constant may take their place only where something else has the batch and pixels."""

import numpy as np
import onnx
import pytest
from oracle import distance, graph_of
from zoo import ARCHITECTURES, feeds
from zoo.builder import Builder

from optimise_onnx.backends.ort import OrtRunner
from optimise_onnx.ir.errors import PreconditionError
from optimise_onnx.passes.analysis.channels.branch_removal import branch_cut, keep_shape, mean_shifts, remove_branches
from optimise_onnx.passes.analysis.channels.branches import Cut, cut, droppable
from optimise_onnx.passes.analysis.channels.groups import analyse
from optimise_onnx.passes.analysis.channels.masking import masked

NOTHING = np.empty(0, np.int64)


def can(b: Builder, kind: str, h: str, y: str) -> str:
    """Meet the stem ``h`` with something that a constant of ``y`` can stand in for."""
    match kind:
        case "add":
            return b.add(h, y)
        case "several_readers":
            return b.add(b.add(h, y), b.mul(h, b.sigmoid(y)))
        case "activations":
            return b.add(h, b.relu6(b.gelu(b.bn(y))))
        case "gate":
            return b.mul(h, b.sigmoid(b.gap(y)))
        case "pointwise":
            return b.add(h, b.conv(b.relu(y), 6, k=1))
        case "slope":
            return b.node("PRelu", [h, y])
    back = b.add(b.transpose(h, 0, 2, 3, 1), b.transpose(y, 0, 2, 3, 1))
    return b.transpose(back, 0, 3, 1, 2)


def cannot(b: Builder, kind: str, h: str, y: str) -> str:
    """Use ``y`` such that its real shape matters."""
    match kind:
        case "alone":
            return y
        case "neighbours":
            return b.add(h, b.conv(b.relu(y), 6))
        case "pool":
            return b.add(h, b.node("MaxPool", [y], kernel_shape=[3, 3], pads=[1] * 4))
        case "concat":
            return b.concat(h, y)
        case "narrower":
            return b.add(b.gap(h), y)
        case "slope_of":
            return b.node("PRelu", [y, h])
    return b.add(h, b.node("Expand", [b.gap(h), b.node("Shape", [y])]))


def block(kind: str, allowed: bool) -> onnx.ModelProto:
    """A stem of 6 channels, a layer of 8, one of 6 that reads it, and what ``kind`` says behind."""
    b = Builder(kind)
    h = b.conv_relu(b.input("x", ["N", 3, "H", "W"]), 6)
    y = b.conv(b.conv_relu(h, 8), 6)
    return b.model(b.conv(b.relu((can if allowed else cannot)(b, kind, h, y)), 4))


@pytest.mark.parametrize("kind", ["add", "several_readers", "activations", "gate", "pointwise", "slope", "transposed"])
def test_a_block_that_can_go(kind: str) -> None:
    """Of any batch and size, the rewritten graph does what the masked one does; half of the stem may go too."""
    model = block(kind, True)
    graph = graph_of(model)
    channels = analyse(graph)
    assert droppable(graph, channels, [group.name for group in channels.groups]) >= {"conv_1_out"}
    stem = next(group for group in channels.groups if group.name == "conv_0_out")
    for some in ({}, {"conv_0_out": stem.cells[:, ::2].ravel()}):
        kept = {"conv_1_out": NOTHING, **some}
        parts = branch_cut(graph, channels, kept)
        assert parts.readers == ("conv_2",)
        pruned = graph.copy()
        remove_branches(pruned, channels, kept, mean_shifts(graph, channels, parts, {}), parts, OrtRunner(1))
        assert {"conv_1", "conv_2"}.isdisjoint(node.name for node in pruned.nodes)
        for batch in (1, 3):
            assert distance(masked(graph, channels, kept), pruned, feeds(model, 0, batch)) < 1e-5
        assert (~keep_shape(channels, kept)).sum() == 7 + 3 * len(some)


@pytest.mark.parametrize("kind", ["alone", "neighbours", "pool", "concat", "narrower", "slope_of", "shape"])
def test_a_block_that_the_graph_needs(kind: str) -> None:
    graph = graph_of(block(kind, False))
    channels = analyse(graph)
    assert "conv_1_out" not in droppable(graph, channels, [group.name for group in channels.groups])
    with pytest.raises(PreconditionError, match="cannot all go"):
        branch_cut(graph, channels, {"conv_1_out": NOTHING})


def test_two_branches_do_not_both_go() -> None:
    """Each is the other's batch."""
    b = Builder("two")
    x = b.input("x", ["N", 3, 8, 8])
    left, right = (b.conv(b.conv_relu(x, 8), 6) for _ in range(2))
    graph = graph_of(b.model(b.conv(b.relu(b.add(left, right)), 4)))
    channels = analyse(graph)
    assert droppable(graph, channels, ["conv_0_out", "conv_2_out"]) == {"conv_0_out", "conv_2_out"}
    assert cut(graph, channels, ["conv_0_out", "conv_2_out"]) is None
    assert cut(graph, channels, []) == Cut((), ())


def test_what_only_a_part_of_a_tensor_consists_of_stays() -> None:
    b = Builder("halves")
    h = b.conv_relu(b.input("x", ["N", 3, 8, 8]), 6)
    first, second = b.split(b.conv_relu(h, 8), 4, 4)
    model = b.model(b.conv(b.add(b.add(h, b.conv(first, 6)), b.conv(second, 6)), 4))
    graph = graph_of(model)
    channels = analyse(graph)
    names = [group.name for group in channels.groups]
    assert {"conv_1_out", "conv_1_out#1"} <= set(names)
    assert not droppable(graph, channels, names)
    assert cut(graph, channels, ["conv_1_out", "conv_1_out#1"]) is not None


def transformed(b: Builder, kind: str, h: str) -> str:
    """A block on tokens of (N, 4, 6) that ends in a constant once what it is made of is gone."""
    if kind == "attention":
        q, k, v = (b.transpose(b.reshape(b.matmul(h, 8), 0, 0, 2, 4), 0, 2, 1, 3) for _ in range(3))
        scores = b.softmax(b.node("MatMul", [q, b.transpose(k, 0, 1, 3, 2)]))
        return b.matmul(b.reshape(b.transpose(b.node("MatMul", [scores, v]), 0, 2, 1, 3), 0, 0, 8), 6)
    y = b.matmul(b.relu(b.matmul(h, 8)), 6)
    if kind == "norm":
        return b.layer_norm(y)
    y = b.transpose(b.reshape(y, 0, 2, 2, 6), 0, 2, 1, 3)
    return b.reshape(b.slice(y, 0, 2, axis=2), 0, 4, 6)


@pytest.mark.parametrize(
    ("kind", "names"),
    [("attention", {"matmul_3_out"}), ("norm", {"matmul_1_out"}), ("windows", {"matmul_1_out"})],
)
def test_blocks_of_transformers(kind: str, names: set[str]) -> None:
    b = Builder(kind)
    h = b.matmul(b.input("x", ["N", 4, 5]), 6)
    model = b.model(b.matmul(b.relu(b.add(h, transformed(b, kind, h))), 3))
    graph = graph_of(model)
    channels = analyse(graph)
    found = droppable(graph, channels, [group.name for group in channels.groups])
    assert found == names
    kept = dict.fromkeys(found, NOTHING)
    parts = branch_cut(graph, channels, kept)
    pruned = graph.copy()
    remove_branches(pruned, channels, kept, mean_shifts(graph, channels, parts, {}), parts, OrtRunner(1))
    assert sum(node.op == "MatMul" for node in pruned.nodes) == 2
    for batch in (1, 3):
        assert distance(masked(graph, channels, kept), pruned, feeds(model, 0, batch)) < 1e-5


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("mlp", set()),
        ("vgg_gap", set()),
        ("densenet", set()),
        ("resnet_projection", {f"conv_{place}_out" for place in (1, 3, 5, 8, 10)}),
        ("mobilenet_v2", {"conv_4_out", "conv_10_out"}),
        ("se_residual", {"conv_1_out", "conv_3_out"}),
        ("vit", {f"matmul_{place}_out" for place in (0, 4, 6, 10)}),
    ],
)
def test_blocks_of_whole_networks(name: str, wanted: set[str]) -> None:
    graph = graph_of(ARCHITECTURES[name]())
    channels = analyse(graph)
    assert droppable(graph, channels, [group.name for group in channels.groups]) == wanted
