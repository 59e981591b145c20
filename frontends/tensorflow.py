"""TensorFlow: SavedModel folders and ``.tflite`` files, by tf2onnx in a process of its own."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import onnx

from ..ir.errors import InvalidModelError
from .given import Given, existing, library, suffix
from .keras import OPSET, spelled


class SavedModel:
    """Folders with a ``saved_model.pb``."""

    def reads(self, source: object) -> bool:
        """Whether it is such a folder."""
        return isinstance(source, str | Path) and (Path(source) / "saved_model.pb").is_file()

    def load(self, source: object, _given: Given) -> onnx.ModelProto:
        """Convert the serving signature. Raises InvalidModelError, and UsageError without TensorFlow or tf2onnx."""
        return _converted("--saved-model", existing(source))


class TFLite:
    """Files called ``.tflite``, of floats or of 8-bit integers, which become QuantizeLinear and DequantizeLinear."""

    def reads(self, source: object) -> bool:
        """Whether the name says so."""
        return suffix(source) == ".tflite"

    def load(self, source: object, _given: Given) -> onnx.ModelProto:
        """Convert. Raises InvalidModelError, and UsageError without TensorFlow or tf2onnx."""
        return _converted("--tflite", existing(source))


SAVED_MODEL, TFLITE = SavedModel(), TFLite()


def _converted(kind: str, path: Path) -> onnx.ModelProto:
    library("tf2onnx", path, "tensorflow")
    library("tensorflow", path, "tensorflow")
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "model.onnx"
        options = [kind, str(path), "--opset", str(OPSET), "--output", str(out)]
        done = subprocess.run([sys.executable, "-m", "tf2onnx.convert", *options], capture_output=True, text=True)
        if not out.is_file():
            why = next((line for line in reversed(done.stderr.splitlines()) if line.strip()), "")
            raise InvalidModelError(f"tf2onnx cannot convert '{path}'", why=why)
        model = spelled(onnx.load(out))
    unknown = sorted({n.op_type for n in model.graph.node if not n.domain and not onnx.defs.has(n.op_type)})
    if unknown:
        raise InvalidModelError(f"tf2onnx cannot convert '{path}'", why=f"it knows no ONNX for {', '.join(unknown)}")
    return model
