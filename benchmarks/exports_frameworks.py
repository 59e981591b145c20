"""Export networks of Keras, TensorFlow Lite, JAX and scikit-learn with random weights, as users' files become ONNX.

    python benchmarks/exports_frameworks.py FOLDER [NAME ...]

Needs ``pip install tensorflow keras tf2onnx jax2onnx flax scikit-learn skl2onnx``. Each goes through the front end that
``optimise-onnx`` has for its framework, and so through the framework's own exporter.
"""

import os
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx

os.environ |= {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}

import flax.nnx as nnx
import jax
import keras
import tensorflow
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from optimise_onnx.frontends.formats import read
from optimise_onnx.frontends.given import Given

SIDE, WORDS, LENGTH, WIDTH = 64, 200, 16, 64
SHAPE = (SIDE, SIDE, 3)


def application(name: str, **options: Any) -> Callable[[], keras.Model]:
    """A network of ``keras.applications`` with ten classes."""
    return lambda: getattr(keras.applications, name)(weights=None, input_shape=SHAPE, classes=10, **options)


def sentence(layer: Callable[[], Any]) -> Callable[[], keras.Model]:
    """Words, a recurrent layer, and five classes."""

    def build() -> keras.Model:
        words = keras.Input((LENGTH,), dtype="int32", name="words")
        h = layer()(keras.layers.Embedding(WORDS, 32)(words))
        return keras.Model(words, keras.layers.Dense(5)(h))

    return build


def transformer() -> keras.Model:
    """Two blocks of attention and a perceptron over embedded words."""
    words = keras.Input((LENGTH,), dtype="int32", name="words")
    h = keras.layers.Embedding(WORDS, WIDTH)(words)
    for _ in range(2):
        norm = keras.layers.LayerNormalization()(h)
        h = h + keras.layers.MultiHeadAttention(4, WIDTH // 4)(norm, norm)
        norm = keras.layers.LayerNormalization()(h)
        h = h + keras.layers.Dense(WIDTH)(keras.layers.Dense(4 * WIDTH, "gelu")(norm))
    return keras.Model(words, keras.layers.Dense(5)(keras.layers.GlobalAveragePooling1D()(h)))


def unet() -> keras.Model:
    """Two levels down and up, joined by concatenation."""
    image = keras.Input(SHAPE, name="image")
    first = keras.layers.Conv2D(16, 3, padding="same", activation="relu")(image)
    low = keras.layers.Conv2D(32, 3, padding="same", activation="relu")(keras.layers.MaxPooling2D()(first))
    up = keras.layers.Conv2DTranspose(16, 2, 2)(low)
    h = keras.layers.Conv2D(16, 3, padding="same", activation="relu")(keras.layers.Concatenate()([first, up]))
    return keras.Model(image, keras.layers.Conv2D(3, 1)(h))


KERAS: dict[str, Callable[[], keras.Model]] = {
    "mobilenet": application("MobileNet", alpha=0.25),
    "mobilenet_v2": application("MobileNetV2", alpha=0.35),
    "mobilenet_v3": application("MobileNetV3Small", minimalistic=True),
    "efficientnet_b0": application("EfficientNetB0"),
    "resnet50_v2": application("ResNet50V2"),
    "densenet121": application("DenseNet121"),
    "lstm": sentence(lambda: keras.layers.Bidirectional(keras.layers.LSTM(32))),
    "gru": sentence(lambda: keras.layers.GRU(32)),
    "transformer": transformer,
    "unet": unet,
}
LITE = ("mobilenet", "mobilenet_v2", "unet")


def lite(model: keras.Model, whole: bool) -> bytes:
    """Convert to TensorFlow Lite: floats, or 8-bit integers throughout."""
    converter = tensorflow.lite.TFLiteConverter.from_keras_model(model)
    if whole:
        shape = (1, *model.inputs[0].shape[1:])
        random = np.random.default_rng(0)
        converter.optimizations = [tensorflow.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([random.random(shape, np.float32)] for _ in range(8))
        converter.target_spec.supported_ops = [tensorflow.lite.OpsSet.TFLITE_BUILTINS_INT8]
    return bytes(converter.convert())


class Convolutions(nnx.Module):
    """Two convolutions with norms, a mean and a product."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        self.first, self.second = nnx.Conv(3, 16, (3, 3), rngs=rngs), nnx.Conv(16, 32, (3, 3), strides=2, rngs=rngs)
        self.norm = nnx.BatchNorm(16, use_running_average=True, rngs=rngs)
        self.head = nnx.Linear(32, 10, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """(batch, side, side, 3) to (batch, 10)."""
        h = jax.nn.relu(self.norm(self.first(x)))
        return self.head(jax.nn.relu(self.second(h)).mean((1, 2)))


class Encoder(nnx.Module):
    """A block of attention and a perceptron."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        self.norm, self.norm2 = nnx.LayerNorm(WIDTH, rngs=rngs), nnx.LayerNorm(WIDTH, rngs=rngs)
        self.attention = nnx.MultiHeadAttention(4, WIDTH, decode=False, rngs=rngs)
        self.embed = nnx.Linear(12, WIDTH, rngs=rngs)
        self.wide, self.narrow = nnx.Linear(WIDTH, 4 * WIDTH, rngs=rngs), nnx.Linear(4 * WIDTH, WIDTH, rngs=rngs)
        self.head = nnx.Linear(WIDTH, 5, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """(batch, positions, 12) to (batch, positions, 5)."""
        h = self.embed(x)
        h = h + self.attention(self.norm(h))
        return self.head(h + self.narrow(jax.nn.gelu(self.wide(self.norm2(h)))))


class Perceptron(nnx.Module):
    """Three products."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        self.layers = nnx.List([nnx.Linear(a, b, rngs=rngs) for a, b in ((16, 64), (64, 64), (64, 4))])

    def __call__(self, x: jax.Array) -> jax.Array:
        """(batch, 16) to (batch, 4)."""
        for layer in self.layers[:-1]:
            x = jax.nn.silu(layer(x))
        return self.layers[-1](x)


JAX: dict[str, tuple[Callable[[nnx.Rngs], Any], tuple[int, ...]]] = {
    "cnn": (Convolutions, (2, 32, 32, 3)),
    "encoder": (Encoder, (2, LENGTH, 12)),
    "mlp": (Perceptron, (2, 16)),
}


def learnt(estimator: Any, targets: int) -> Any:
    """Fit a scikit-learn estimator on noise."""
    random = np.random.default_rng(0)
    x = random.normal(size=(200, 20)).astype(np.float32)
    wanted = random.integers(0, 4, 200) if targets == 0 else random.normal(size=(200, targets))
    return estimator.fit(x, wanted)


SKLEARN: dict[str, Callable[[], Any]] = {
    "mlp-classifier": lambda: learnt(MLPClassifier((64, 48), max_iter=20), 0),
    "mlp-regressor": lambda: learnt(MLPRegressor(hidden_layer_sizes=(64, 48), activation="tanh", max_iter=20), 2),
    "mlp-pipeline": lambda: learnt(make_pipeline(StandardScaler(), MLPClassifier((80,), max_iter=20)), 0),
}


def exports() -> dict[str, Callable[[], onnx.ModelProto]]:
    """Return by name what exports each."""
    found: dict[str, Callable[[], onnx.ModelProto]] = {}
    for name, build in KERAS.items():
        found[f"{name}-keras"] = lambda build=build: read(build())
    for name in LITE:
        found[f"{name}-tflite"] = lambda name=name: read_file(lite(KERAS[name](), False))
        found[f"{name}-tflite8"] = lambda name=name: read_file(lite(KERAS[name](), True))
    for name, (module, shape) in JAX.items():
        example = Given(np.zeros(shape, np.float32))
        found[f"{name}-jax"] = lambda module=module, example=example: read(module(nnx.Rngs(0)), example)
    for name, fit in SKLEARN.items():
        found[f"{name}-sklearn"] = lambda fit=fit: read(fit())
    return found


def read_file(content: bytes) -> onnx.ModelProto:
    """Read what a ``.tflite`` file holds."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.tflite"
        path.write_bytes(content)
        return read(path)


def main() -> None:
    """Write every model."""
    warnings.filterwarnings("ignore")
    folder, all_of_them = Path(sys.argv[1]), exports()
    folder.mkdir(parents=True, exist_ok=True)
    for name in sys.argv[2:] or all_of_them:
        keras.utils.set_random_seed(0)
        path = folder / f"{name}.onnx"
        try:
            onnx.save(all_of_them[name](), path)
            print(path, path.stat().st_size, flush=True)
        except Exception as error:  # whatever an exporter meets
            print(f"{path}: refused by the exporter: {str(error).splitlines()[0][:160]}", flush=True)


if __name__ == "__main__":
    main()
