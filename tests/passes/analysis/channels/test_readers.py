"""The readers of a group, what zeroing some of their inputs costs, and which channels a ranking keeps."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from oracle import graph_of, run
from zoo import ZOO, feeds
from zoo.builder import Builder

from optimise_onnx.backends.ort import OrtRunner
from optimise_onnx.ir.feeds import Calibration
from optimise_onnx.ir.graph import Graph
from optimise_onnx.passes.analysis.channels.groups import Channels, analyse
from optimise_onnx.passes.analysis.channels.masking import masked
from optimise_onnx.passes.analysis.channels.ranking import GroupRanking, Ranking
from optimise_onnx.passes.analysis.channels.readers import Reader, readers
from optimise_onnx.passes.analysis.layers.linear import linear_layers, stored_weight
from optimise_onnx.passes.analysis.statistics.compensation import compensated
from optimise_onnx.passes.analysis.statistics.input_moments import input_moments

Array = NDArray[Any]


def everything(graph: Graph, inputs: dict[str, Array]) -> tuple[Channels, dict[str, list[Reader]]]:
    """Return the analysis and every group's readers with moments."""
    channels = analyse(graph)
    layers = linear_layers(graph, channels.context.shapes)
    rng, calibration = np.random.default_rng(0), Calibration.from_arrays(inputs)
    moments = input_moments(graph, list(layers.values()), channels.context.shapes, calibration, OrtRunner(1), rng)
    weights: dict[str, Array] = {}
    return channels, {g.name: readers(graph, channels, g, layers, moments, weights) for g in channels.groups}


@pytest.mark.parametrize(
    "name", ["mlp", "vgg_flatten", "resnext", "densenet", "shuffle", "nhwc_tf", "matmul_constant_left"]
)
def test_zeroing_the_rows_of_a_unit_is_removing_it(name: str) -> None:
    """Setting the rows that belong to some units to zero does what multiplying the channels by zero does."""
    model = ZOO[name]()
    graph, inputs = graph_of(model), feeds(model, 0, 6)
    channels, found = everything(graph, inputs)
    layers = linear_layers(graph, channels.context.shapes)
    group = max(channels.groups, key=lambda group: group.cells.size)
    gone = np.random.default_rng(0).permutation(group.width)[: group.width // 2]
    stays = np.ones(group.cells.shape, bool)
    stays[:, gone] = False
    copy = graph.copy()
    for node in copy.nodes:
        parts = [reader for reader in found[group.name] if reader.node == node.name]
        if parts:
            layer = layers[node.name]
            stored = stored_weight(copy, node, layer)
            matrix = layer.matrix(stored)
            for reader in parts:
                lost = (reader.unit >= 0) & ~stays.ravel()[reader.unit]
                matrix[reader.part, lost] = 0
            copy.set_array(node.inputs[layer.weight_index], layer.weight(matrix, stored))
    reference = masked(graph, channels, {group.name: group.cells[stays]})
    for got, wanted in zip(run(copy, inputs), run(reference, inputs), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-5 * np.abs(wanted).max())


def test_all_weights_of_a_channel_are_found() -> None:
    b = Builder("two_readers")
    y = b.conv_relu(b.input("x", ["N", 3, 6, 6]), 8)
    model = b.model(b.conv(y, 5), b.gemm(b.flatten(y), 4), b.conv_transpose(y, 4))
    _, found = everything(graph_of(model), feeds(model, 0, 4))
    conv, gemm, transposed = found["conv_0_out"]
    np.testing.assert_array_equal(conv.unit, np.repeat(np.arange(8), 9))
    np.testing.assert_array_equal(gemm.unit, np.repeat(np.arange(8), 36))
    assert conv.cov is not None and conv.cov.shape == (72, 72)
    assert transposed.cov is None and (transposed.weight == 1).all()  # not seen as a matrix


def test_parts_of_a_grouped_convolution_are_readers_of_their_own() -> None:
    b = Builder("grouped")
    model = b.model(b.conv(b.conv_relu(b.input("x", ["N", 3, 6, 6]), 8), 6, group=2))
    _, found = everything(graph_of(model), feeds(model, 0, 4))
    (parts,) = found.values()
    assert [(reader.part, reader.weight.shape) for reader in parts] == [(0, (36, 3)), (1, (36, 3))]


def test_compensation_is_least_squares() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((200, 6)) @ rng.standard_normal((6, 6)) + 3
    weight = rng.standard_normal((6, 4))
    stays = np.array([1, 0, 1, 1, 0, 1], bool)
    found, shift = compensated(weight, np.cov(x.T, bias=True), x.mean(0), stays, 0.0)
    fitted = np.linalg.lstsq(np.c_[x[:, stays], np.ones(200)], x @ weight)[0]
    np.testing.assert_allclose(found[stays], fitted[:-1], atol=1e-9)
    np.testing.assert_allclose(shift, fitted[-1], atol=1e-9)
    assert not found[~stays].any()


@pytest.mark.parametrize("stays", [np.ones(3, bool), np.zeros(3, bool)])
def test_compensation_at_the_ends(stays: Array) -> None:
    weight, mean = np.arange(6.0).reshape(3, 2), np.ones(3)
    found, shift = compensated(weight, np.eye(3), mean, stays, 1e-3)
    np.testing.assert_allclose(found, weight * stays[:, None])
    np.testing.assert_allclose(shift, np.where(stays.all(), 0, weight.sum(0)))


def test_with_variances_only_the_mean_takes_the_place() -> None:
    weight, stays = np.ones((3, 2)), np.array([True, False, True])
    found, shift = compensated(weight, np.ones(3), np.array([1.0, 5.0, 1.0]), stays, 1e-3)
    np.testing.assert_array_equal(found, weight * stays[:, None])
    np.testing.assert_array_equal(shift, [5, 5])


def ranked(name: str) -> Ranking:
    """Rank the units of every group from the last to the first."""
    channels = analyse(graph_of(ZOO[name]()))
    orders = {g.name: GroupRanking(g.cells.T[::-1], np.arange(g.width + 1.0)) for g in channels.groups}
    return Ranking("last", channels, orders)


@pytest.mark.parametrize("name", ["resnext", "mlp", "grouped_conv"])
def test_a_ranking_keeps_what_is_not_among_the_first_rounds(name: str) -> None:
    ranking = ranked(name)
    removed = {group.name: group.width // 3 for group in ranking.channels.groups}
    kept = ranking.kept(removed)
    for group in ranking.channels.groups:
        np.testing.assert_array_equal(
            np.sort(kept[group.name]), np.sort(group.cells[:, : group.width - removed[group.name]].ravel())
        )
    assert ranking.kept({group.name: 0 for group in ranking.channels.groups}) == {}


def test_a_group_stays_whole_where_a_tensor_would_be_empty() -> None:
    ranking = ranked("mlp")
    first, second, *_ = ranking.channels.groups
    channels = replace(ranking.channels, floors=(first.cells[0, -2:],))
    kept = replace(ranking, channels=channels).kept({first.name: 2, second.name: 2})
    assert kept.keys() == {second.name}
    assert len(replace(ranking, channels=channels).kept({first.name: 1})[first.name]) == first.width - 1


def test_a_deformed_convolution_reads_with_its_weight() -> None:
    graph = graph_of(ZOO["deformed"]())
    channels, found = analyse(graph), {}
    for group in channels.groups:
        for reader in readers(graph, channels, group, {}, {}, {}):
            found[reader.node, reader.part] = reader
    weight = next(node for node in graph.nodes if node.op == "DeformConv").inputs[1].array
    for part in range(2):
        reader = found["deformconv_0", part]
        assert reader.weight.shape == (6, 4 * 9)
        np.testing.assert_allclose(reader.weight[2], weight[4 * part : 4 * part + 4, 2].ravel())
