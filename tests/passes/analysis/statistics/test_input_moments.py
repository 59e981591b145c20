"""One streaming pass gives the moments of all rows, in pieces of any length, with positions drawn by the seed."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from oracle import graph_of
from zoo import ZOO, feeds
from zoo.builder import Builder

from optimise_onnx.backends.ort import OrtRunner
from optimise_onnx.ir.errors import NumericalError
from optimise_onnx.ir.feeds import Calibration
from optimise_onnx.ir.graph import Graph
from optimise_onnx.passes.analysis.channels.groups import analyse
from optimise_onnx.passes.analysis.layers.linear import Linear, linear_layers
from optimise_onnx.passes.analysis.statistics import halves
from optimise_onnx.passes.analysis.statistics import input_moments as module
from optimise_onnx.passes.analysis.statistics.batched_moments import BatchedMoments
from optimise_onnx.passes.analysis.statistics.halves import pooled
from optimise_onnx.passes.analysis.statistics.input_moments import (
    InputMoments,
    LazyMoments,
    StoredMoments,
    input_moments,
)
from optimise_onnx.passes.analysis.statistics.moments import Moments
from optimise_onnx.passes.analysis.statistics.spill import Shelf

Array = NDArray[Any]
SAMPLES = 13


def measured(
    graph: Graph, inputs: dict[str, Array], seed: int = 0, rows: int | None = None
) -> tuple[list[Linear], StoredMoments]:
    """Return the layers and the moments of what they read."""
    shapes = analyse(graph).context.shapes
    layers = list(linear_layers(graph, shapes).values())
    calibration = Calibration.from_arrays(inputs)
    rng = np.random.default_rng(seed)
    return layers, input_moments(graph, layers, shapes, calibration, OrtRunner(1), rng, rows=rows)


def all_rows(graph: Graph, inputs: dict[str, Array], layer: Linear) -> Array:
    """Return every row that a layer reads, (g, n, d) in float64."""
    if layer.input in inputs:
        return layer.rows(inputs[layer.input]).astype(np.float64)
    return layer.rows(OrtRunner(1).session(graph, outputs=[layer.input]).run(inputs)[layer.input]).astype(np.float64)


def covariance(rows: Array) -> tuple[Array, Array]:
    """Return mean (g, d) and covariance (g, d, d)."""
    rest = rows - rows.mean(1, keepdims=True)
    return rows.mean(1), rest.transpose(0, 2, 1) @ rest / rows.shape[1]


@pytest.mark.parametrize(
    "name", ["mlp", "vgg_gap", "mobilenet_v2", "grouped_conv", "matmul_constant_left", "conv1d", "conv3d"]
)
@pytest.mark.parametrize("batch_bytes", [1, 2**28])
def test_moments_equal_the_covariance_of_all_rows(name: str, batch_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BATCH_BYTES", batch_bytes)
    model = ZOO[name]()
    graph, inputs = graph_of(model), feeds(model, 0, SAMPLES)
    layers, found = measured(graph, inputs)
    assert found.keys() == {layer.node for layer in layers}
    for layer in layers:
        mean, cov = covariance(all_rows(graph, inputs, layer))
        size = np.abs(cov).max() or 1.0
        np.testing.assert_allclose(found[layer.node].mean, mean, atol=1e-5 * size**0.5)
        np.testing.assert_allclose(found[layer.node].cov, cov, atol=1e-5 * size)


def test_inputs_too_wide_for_a_covariance_have_variances(monkeypatch: pytest.MonkeyPatch) -> None:
    for each in (module, halves):
        monkeypatch.setattr(each, "LARGEST", 40)
    model = ZOO["resnext"]()
    graph, inputs = graph_of(model), feeds(model, 0, SAMPLES)
    layers, found = measured(graph, inputs)
    assert {found[layer.node].cov.ndim for layer in layers} == {2, 3}
    for layer in layers:
        mean, cov = covariance(all_rows(graph, inputs, layer))
        known = found[layer.node]
        np.testing.assert_allclose(known.mean, mean, atol=1e-5)
        wanted = cov if known.cov.ndim == 3 else np.einsum("gdd->gd", cov)
        np.testing.assert_allclose(known.cov, wanted, atol=1e-5 * np.abs(wanted).max())


def one_conv(size: int) -> onnx.ModelProto:
    b = Builder("one")
    return b.model(b.conv(b.input("x", ["N", 3, size, size]), 5))


def test_positions_are_sampled_by_the_seed() -> None:
    graph, inputs = graph_of(one_conv(20)), {"x": np.random.default_rng(0).standard_normal((8, 3, 20, 20), np.float32)}
    (one,), (same,), (other,) = (list(measured(graph, inputs, seed, rows=40)[1].values()) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one.cov, same.cov)
    assert np.abs(one.cov - other.cov).max() > 0.01
    assert one.ridge > 0.1  # forty rows say little about 27 inputs
    ((_, whole),) = measured(graph, inputs, rows=8 * 400)[1].items()
    ((_, default),) = measured(graph, inputs)[1].items()
    np.testing.assert_array_equal(whole.cov, default.cov)


@pytest.mark.parametrize("name", ["resnet_projection", "mobilenet_v2", "vit"])
def test_little_memory_gives_the_same(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Layer by layer, with every covariance on disk; rows of a sampled layer are the same."""
    model = ZOO[name]()
    graph, inputs = graph_of(model), feeds(model, 0, SAMPLES)
    _, wanted = measured(graph, inputs, rows=60)
    monkeypatch.setattr(module, "_ACCUMULATED", 1)
    monkeypatch.setattr(module, "_SHELVED", 0)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    layers, found = measured(graph, inputs, rows=60)
    assert len(list(tmp_path.rglob("*.npy"))) == len(layers)
    assert found.keys() == wanted.keys()
    for node in wanted:
        size = np.abs(wanted[node].cov).max() or 1.0
        np.testing.assert_allclose(found[node].cov, wanted[node].cov, atol=1e-5 * size)
        np.testing.assert_allclose(found[node].mean, wanted[node].mean, atol=1e-5 * size**0.5)
        np.testing.assert_allclose(found[node].ridge, wanted[node].ridge, rtol=1e-3)
    del found
    assert not list(tmp_path.iterdir())


def test_few_rows_at_a_time_wait_for_more(monkeypatch: pytest.MonkeyPatch) -> None:
    updates = []
    plain = Moments.update
    monkeypatch.setattr(Moments, "update", lambda self, x, y: (updates.append(len(x)), plain(self, x, y)))
    monkeypatch.setattr(module, "_BATCH_BYTES", 1)
    graph, inputs = graph_of(one_conv(4)), {"x": np.random.default_rng(0).standard_normal((8, 3, 4, 4), np.float32)}
    (layer,), found = measured(graph, inputs)
    assert updates == [64, 64]
    np.testing.assert_allclose(found[layer.node].cov, covariance(all_rows(graph, inputs, layer))[1], atol=1e-5)


def test_lazy_moments_are_measured_once_or_never() -> None:
    calls = []
    one = InputMoments(np.zeros((1, 2)), np.ones((1, 2, 2)), np.zeros(1))
    lazy = LazyMoments(lambda: (calls.append(0), {"conv": one})[1], key=(3,))
    assert lazy.key == (3,) and not calls
    assert lazy["conv"] is one and lazy.get("other") is None and list(lazy) == ["conv"] and len(lazy) == 1
    assert len(calls) == 1


def test_data_may_be_larger_than_the_analysed_shape() -> None:
    b = Builder("dynamic")
    graph = graph_of(b.model(b.conv(b.input("x", ["N", 3, "H", "W"]), 5)))
    for size in (5, 80):
        inputs = {"x": np.random.default_rng(0).standard_normal((2, 3, size, size), np.float32)}
        (layer,), found = measured(graph, inputs)
        if size == 5:
            mean, cov = covariance(all_rows(graph, inputs, layer))
            np.testing.assert_allclose(found[layer.node].cov, cov, atol=1e-5)


def test_a_vector_has_one_row() -> None:
    b = Builder("vector")
    graph = graph_of(b.model(b.matmul(b.input("x", [6]), 4)))
    (layer,), found = measured(graph, {"x": np.arange(6, dtype=np.float32)})
    np.testing.assert_allclose(found[layer.node].mean, [np.arange(6)])
    assert not found[layer.node].cov.any()


def test_halves_that_agree_ask_for_no_ridge() -> None:
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((1, 4000, 6)) @ rng.standard_normal((6, 6))
    halves = [covariance(half) for half in np.split(rows, 2, axis=1)]
    found = pooled(*halves[0], 2000, *halves[1], 2000)
    mean, cov = covariance(rows)
    np.testing.assert_allclose(found.mean, mean)
    np.testing.assert_allclose(found.cov, cov)
    assert 0 < found.ridge < 0.01
    few = [covariance(half) for half in np.split(rows[:, :8], 2, axis=1)]
    assert pooled(*few[0], 4, *few[1], 4).ridge > 10 * found.ridge


def test_halves_of_unequal_length() -> None:
    rows = np.random.default_rng(0).standard_normal((2, 30, 3))
    a, b = covariance(rows[:, :7]), covariance(rows[:, 7:])
    found = pooled(*a, 7, *b, 23)
    np.testing.assert_allclose(found.cov, covariance(rows)[1])


@pytest.mark.parametrize("shift", [0.0, 1e6])
def test_many_small_problems(shift: float) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((5, 40, 3)) + shift, rng.standard_normal((5, 40, 2)) + shift
    moments = BatchedMoments(5, 3, 2)
    for start, stop in ((0, 7), (7, 7), (7, 40)):
        moments.update(x[:, start:stop], y[:, start:stop])
    mean, cov = moments.result()
    wanted, joint = covariance(np.concatenate([x, y], 2))
    np.testing.assert_allclose(mean, wanted, rtol=1e-12)
    np.testing.assert_allclose(cov, joint[:, :3], atol=1e-9)


def test_what_cannot_be_measured_is_refused() -> None:
    with pytest.raises(NumericalError, match="no samples"):
        BatchedMoments(2, 3, 0).result()
    with pytest.raises(NumericalError, match="NaN"):
        BatchedMoments(1, 1, 0).update(np.full((1, 2, 1), np.nan), np.zeros((1, 2, 0)))


def test_membership_reads_no_covariance(monkeypatch: pytest.MonkeyPatch) -> None:
    stored = StoredMoments()
    stored.add("layer", InputMoments(np.zeros((1, 2)), np.ones((1, 2, 2)), np.zeros(1)))
    monkeypatch.setattr(Shelf, "get", None)
    lazy = LazyMoments(lambda: stored)
    assert "layer" in stored and "layer" in lazy
    assert "other" not in stored and "other" not in lazy
