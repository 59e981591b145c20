"""SavedModel and TensorFlow Lite, floats and 8-bit integers: from the file that a user has to a smaller model."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from optimise_onnx import compress
from optimise_onnx.frontends import tensorflow as front_end
from optimise_onnx.ir.errors import InvalidModelError

tf = pytest.importorskip("tensorflow", reason="TensorFlow is not installed")
pytest.importorskip("tf2onnx", reason="tf2onnx is not installed")


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SavedModel of two convolutions and a dense layer."""
    rng = np.random.default_rng(0)

    def weight(*shape: int) -> Any:
        return tf.Variable((rng.normal(size=shape) / np.prod(shape[:-1]) ** 0.5).astype(np.float32))

    module = tf.Module()
    module.a, module.b, module.c = weight(3, 3, 3, 12), weight(3, 3, 12, 16), weight(16, 5)

    @tf.function(input_signature=[tf.TensorSpec((None, 8, 8, 3), tf.float32, name="image")])
    def run(image: Any) -> Any:
        x = tf.nn.relu(tf.nn.conv2d(image, module.a, 1, "SAME"))
        x = tf.nn.relu(tf.nn.conv2d(x, module.b, 1, "SAME"))
        return {"scores": tf.reduce_mean(x, (1, 2)) @ module.c}

    folder = tmp_path_factory.mktemp("tensorflow") / "saved"
    tf.saved_model.save(module, str(folder), signatures={"serving_default": run})
    return folder


def images(count: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(1).normal(size=(count, 8, 8, 3)).astype(np.float32)


def lite(saved: Path, *, whole: bool) -> bytes:
    converter = tf.lite.TFLiteConverter.from_saved_model(str(saved))
    if whole:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([images(1)] for _ in range(8))
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    content: bytes = converter.convert()
    return content


def test_a_saved_model_becomes_smaller(saved: Path) -> None:
    result = compress(saved, target="params=0.7x", data={"image": images(40)}, guard=False)
    assert result.report.after.parameters <= 0.7 * result.report.before.parameters
    assert [each.name for each in result.model.graph.input] == ["image"]


@pytest.mark.parametrize("whole", [False, True])
def test_tensorflow_lite(saved: Path, tmp_path: Path, whole: bool) -> None:
    path = tmp_path / "net.tflite"
    path.write_bytes(lite(saved, whole=whole))
    (name,) = [each.name for each in front_end.TFLITE.load(path, front_end.Given()).graph.input]
    result = compress(path, target="params=0.8x", data={name: images(40)}, guard=False)
    assert result.report.after.parameters <= 0.8 * result.report.before.parameters
    assert whole == any(node.op_type == "QuantizeLinear" for node in result.model.graph.node)


def test_what_cannot_be_converted_says_why(tmp_path: Path) -> None:
    path = tmp_path / "net.tflite"
    path.write_bytes(b"broken")
    with pytest.raises(InvalidModelError, match="tf2onnx cannot convert.*net.tflite': ."):
        front_end.TFLITE.load(path, front_end.Given())
