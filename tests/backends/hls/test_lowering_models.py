"""Whole networks, lowered: equal to onnxruntime, or refused by name; nothing else."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings

from optimise_onnx.backends.hls.lowering import lower
from optimise_onnx.backends.hls.reference import run, run_tensors
from optimise_onnx.backends.ort import OrtRunner
from optimise_onnx.demo import paths
from optimise_onnx.ir.errors import LoweringError
from optimise_onnx.ir.sizes import Sizes
from tests.backends.hls.lowered import check, kinds, prepared
from tests.zoo import ARCHITECTURES, ZOO
from tests.zoo.builder import Builder
from tests.zoo.grammar import networks

ROOT = Path(__file__).resolve().parents[3]
MODELS = [folder / "shared/models" for folder in (ROOT, ROOT.parent)]
REFUSED = {
    "vit": "Expand",
}
LOWERED_STRUCTURES = 25


@pytest.mark.parametrize("name", sorted(set(ARCHITECTURES) - set(REFUSED)))
def test_architectures(name: str) -> None:
    check(ARCHITECTURES[name]())


def test_open_sizes_are_taken_where_somebody_said_them() -> None:
    b = Builder("open")
    graph = prepared(b.model(b.head(b.conv_relu(b.input("x", ["N", 2, "H", "W"]), 4), 3)))
    with pytest.raises(LoweringError, match="open sizes"):
        lower(graph)
    graph.sizes = Sizes({"H": 6, "W": 8}, frozenset({"W"}))
    with pytest.raises(LoweringError, match="open sizes .*--input-shape"):
        lower(graph)
    graph.sizes = Sizes({"H": 6, "W": 8})
    network, feeds = lower(graph), np.random.default_rng(0).standard_normal((5, 2, 6, 8)).astype(np.float32)
    assert network.layers[0].shape == (6, 8, 2)
    wanted = OrtRunner(1).session(graph).run({"x": feeds})
    for name, array in run_tensors(network, {"x": feeds}).items():
        np.testing.assert_allclose(array, wanted[name], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", REFUSED)
def test_architectures_without_counterpart(name: str) -> None:
    with pytest.raises(LoweringError) as caught:
        lower(prepared(ARCHITECTURES[name]()))
    assert caught.value.op_type == REFUSED[name]
    assert caught.value.why and caught.value.hint


def test_every_structure_is_lowered_or_refused() -> None:
    done = 0
    for name in sorted(set(ZOO) - set(ARCHITECTURES))[::3]:
        try:
            check(ZOO[name]())
        except LoweringError as error:
            assert error.why and error.hint, name
        else:
            done += 1
    assert done >= LOWERED_STRUCTURES


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(networks(steps=5))
def test_random_networks(model: onnx.ModelProto) -> None:
    graph = prepared(model)
    try:
        lower(graph)
    except LoweringError as error:
        assert error.why and error.hint
    else:
        check(graph)


def test_the_shipped_network() -> None:
    network = check(prepared(paths()[0]))
    assert set(kinds(network)) == {"Activation", "Addition", "Convolution", "Dense", "Flatten", "Pooling"}


@pytest.mark.parametrize(
    "name",
    [
        "autoencoder_toycar",
        "dscnn_kws",
        "efficientnet_lite0",
        "resnet8_cifar10",
        "resnet20_cifar10",
        "resnet56_cifar10",
    ],
)
def test_trained_networks(name: str) -> None:
    file = next((file for folder in MODELS if (file := folder / f"{name}.onnx").is_file()), None)
    if file is None:
        pytest.skip("trained models are not here")
    network = check(prepared(file), count=1)
    assert "Affine" not in kinds(network)[1:]  # all but what scales the input itself is folded


def test_integer_activations_on_other_scales_are_refused() -> None:
    with pytest.raises(LoweringError, match="is no power of two"):
        lower(prepared(ZOO["qdq_activations"]()))


def test_names_are_identifiers_each_once() -> None:
    network = lower(prepared(ARCHITECTURES["densenet"]()))
    names = [layer.name for layer in network.layers]
    assert len({name.lower() for name in names}) == len(names)
    assert all(name.isidentifier() and name.isascii() for name in names)
    assert all(name in names[:at] for at, layer in enumerate(network.layers) for name in layer.inputs)


def test_declared_shapes_are_those_computed() -> None:
    network = lower(prepared(ARCHITECTURES["shuffle"]()))
    values = run(network, np.zeros((1, *network.layers[0].shape)))
    assert all(values[layer.name].shape[1:] == layer.shape for layer in network.layers)
