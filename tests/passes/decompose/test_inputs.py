"""What layers read: measured now, or before a removal and restricted to what is left."""

import numpy as np
import pytest
from oracle import graph_of
from zoo import ZOO

from optimise_onnx.ir.graph import Graph
from optimise_onnx.passes.base import Context
from optimise_onnx.passes.decompose.inputs import Inputs
from tests.passes.decompose.passing import calibrated, network, run

NETWORKS = ["residual", "matmul", "grouped", "grouped_conv", "resnext", "channel_shuffle"]


def pruned(name: str, keep: float = 0.6) -> tuple[Graph, Context]:
    graph, shared = calibrated(ZOO[name]() if name in ZOO else network(name), 64)
    graph = run("fold-constants,fold-batch-norm", graph, shared)
    return run(f"select-channels{{keep={keep}}},remove-channels", graph, shared), shared


@pytest.mark.parametrize("name", NETWORKS)
def test_what_is_left_of_known_moments_fits_the_layers_and_their_inputs(name: str) -> None:
    """Layers whose inputs come from no other lossy layer read exactly what they read before, without what went."""
    graph, shared = pruned(name)
    kept = Inputs.of(graph, shared)
    fresh = Inputs.of(graph, Context(shared.runner, shared.original, shared.calibration))
    assert kept.rows and not fresh.rows
    exact = 0
    for layer in kept.layers.values():
        (cov, mean), (now, average) = kept.moments(layer), fresh.moments(layer)
        assert cov.shape == now.shape == (layer.groups, layer.fan_in, layer.fan_in)
        assert mean.shape == average.shape == (layer.groups, layer.fan_in)
        first = layer.node in kept.known and np.abs(now - cov).max() < 0.05 * np.abs(now).max()
        exact += first and bool(np.abs(mean - average).max() < 0.05 * np.abs(average).max())
    assert exact


def test_each_group_keeps_its_own_rows() -> None:
    graph, shared = pruned("grouped")
    layer = next(layer for layer in Inputs.of(graph, shared).layers.values() if layer.groups == 2)
    inputs = Inputs.of(graph, shared)
    known, rows = inputs.known[layer.node], inputs.rows[layer.node]
    cov, mean = inputs.moments(layer)
    assert not np.array_equal(rows[0], rows[1])
    for group in range(2):
        np.testing.assert_array_equal(mean[group], known.mean[group][rows[group]])
        off = ~np.eye(layer.fan_in, dtype=bool)
        left = known.cov[group][np.ix_(rows[group], rows[group])]
        np.testing.assert_allclose(cov[group][off], left[off])


def test_once_forms_are_written_layers_are_measured_again() -> None:
    graph, shared = pruned("residual")
    found = run("decompose{forms=stretch,share=0.8}", graph, shared)
    inputs = Inputs.of(found, shared)
    assert not inputs.rows
    assert all(inputs.moments(layer)[0].shape[1] == layer.fan_in for layer in inputs.layers.values())


def test_without_data_inputs_are_white() -> None:
    graph, shared = calibrated(network("grouped"), 0)
    inputs = Inputs.of(graph, shared)
    for layer in inputs.layers.values():
        cov, mean = inputs.moments(layer)
        np.testing.assert_array_equal(cov, np.stack([np.eye(layer.fan_in)] * layer.groups))
        assert not mean.any()


def test_sizes_are_those_of_one_sample() -> None:
    graph = graph_of(ZOO["vgg_gap"]())
    inputs = Inputs.of(graph, calibrated(ZOO["vgg_gap"](), 4)[1])
    assert {inputs.shapes[layer.input][0] for layer in inputs.layers.values()} == {1}
