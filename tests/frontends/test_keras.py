"""Keras 3, on whichever backend is installed: from the file that a user has to a smaller model."""

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from optimise_onnx import compress
from optimise_onnx.frontends.given import Given
from optimise_onnx.frontends.load import load
from optimise_onnx.ir.errors import InvalidModelError

_BACKENDS = [name for name in ("torch", "tensorflow", "jax") if find_spec(name) is not None]
if not _BACKENDS:
    pytest.skip("no backend of Keras is installed", allow_module_level=True)
os.environ.setdefault("KERAS_BACKEND", _BACKENDS[0])
keras = pytest.importorskip("keras", reason="Keras is not installed")


@pytest.fixture(scope="module")
def network() -> Any:
    """Two convolutions and a dense layer, with a batch norm."""
    keras.utils.set_random_seed(0)
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((8, 8, 3), name="image"),
            layers.Conv2D(12, 3, use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Conv2D(16, 3, activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(5),
        ]
    )


def test_a_file_becomes_smaller(network: Any, tmp_path: Path) -> None:
    network.save(tmp_path / "net.keras")
    images = np.random.default_rng(0).normal(size=(40, 8, 8, 3)).astype(np.float32)
    result = compress(tmp_path / "net.keras", target="params=0.7x", data={"image": images}, guard=False)
    assert result.report.after.parameters <= 0.7 * result.report.before.parameters
    (given,) = result.model.graph.input
    dims = given.type.tensor_type.shape.dim
    assert [dim.dim_value for dim in dims][1:] == [8, 8, 3] and dims[0].dim_param


def test_code_in_files_is_not_run_without_trust(tmp_path: Path) -> None:
    odd = keras.Sequential([keras.Input((3,)), keras.layers.Lambda(lambda x: x + 1)])
    odd.save(tmp_path / "odd.keras")
    odd.save(tmp_path / "odd.h5")
    for name in ("odd.keras", "odd.h5"):
        with pytest.raises(InvalidModelError, match="Lambda.*--trust"):
            load(tmp_path / name)


def test_weights_alone_are_no_model(network: Any, tmp_path: Path) -> None:
    network.save_weights(tmp_path / "net.weights.h5")
    with pytest.raises(InvalidModelError, match="weights without a network"):
        load(tmp_path / "net.weights.h5")


def test_a_model_without_inputs_asks_for_an_example() -> None:
    class Own(keras.Model):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.dense = keras.layers.Dense(4)

        def call(self, x: Any) -> Any:
            return self.dense(x)

    with pytest.raises(InvalidModelError, match="example_inputs"):
        load(Own())
    graph, _ = load(Own(), given=Given(np.zeros((1, 6), np.float32)))
    assert [t.shape[1:] for t in graph.inputs if t.shape] == [(6,)]
