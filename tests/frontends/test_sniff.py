"""Files of other kinds are named, with the way to an ONNX model; frameworks that are missing are asked for."""

import pickle
import sys
from pathlib import Path

import numpy as np
import pytest

from optimise_onnx.frontends.formats import read
from optimise_onnx.frontends.given import Given
from optimise_onnx.ir.errors import InvalidModelError, UsageError

FILES = {
    "inference.pdmodel": (b"\x0a\x10", "a Paddle model.*paddle2onnx"),
    "net.prototxt": (b'name: "net"', "a Caffe model.*caffe2onnx"),
    "net.mlmodel": (b"\x08\x04", "a Core ML model"),
    "net.xml": (b'<?xml version="1.0"?><net name="a">', "an OpenVINO model.*nothing turns it back"),
    "net.safetensors": (b"\x40\0\0\0\0\0\0\0" + b'{"a":{"dtype":"F32"}}', "safetensors.*weights without a network"),
    "renamed.onnx": (b"\x1c\0\0\0TFL3", "a TensorFlow Lite model.*call it .tflite"),
    "net.ort": (b"\x1c\0\0\0ORTM", "onnxruntime's own format"),
    "pointer.onnx": (b"version https://git-lfs.github.com/spec/v1\n", "a pointer of Git LFS.*git lfs pull"),
    "page.onnx": (b"\n<!DOCTYPE html>", "a web page"),
    "graph.pb": (b"\x0a\x10", "a graph of TensorFlow.*tf2onnx"),
    "weights.bin": (pickle.dumps([]), "a Python pickle"),
    "zipped.onnx": (b"PK\x03\x04", "a zip archive"),
    "cut.onnx": (b"\x0a\xff", "it is not an ONNX file, or is cut short"),
}
FOLDERS = {
    "config.json": "a folder of Hugging Face.*optimum-cli",
    "model.onnx": "a folder.*model.onnx",
    "other.txt": "a folder",
}


@pytest.mark.parametrize("name", FILES)
def test_files(tmp_path: Path, name: str) -> None:
    content, said = FILES[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InvalidModelError, match=said):
        read(tmp_path / name)


@pytest.mark.parametrize("name", FOLDERS)
def test_folders(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    with pytest.raises(InvalidModelError, match=FOLDERS[name]):
        read(tmp_path)


@pytest.mark.parametrize(
    ("name", "missing", "extra"),
    [
        ("net.pt2", "torch", "torch"),
        ("net.keras", "keras", "keras"),
        ("net.tflite", "tf2onnx", "tensorflow"),
        ("saved", "tf2onnx", "tensorflow"),
    ],
)
def test_a_missing_framework_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, missing: str, extra: str
) -> None:
    if name == "saved":
        (tmp_path / name).mkdir()
        (tmp_path / name / "saved_model.pb").touch()
    else:
        (tmp_path / name).touch()
    monkeypatch.setitem(sys.modules, missing, None)  # as if it were not installed
    with pytest.raises(UsageError, match=rf"needs {missing}.*optimise-onnx\[{extra}\]"):
        read(tmp_path / name)


def test_pickled_estimators_are_not_read_without_trust(tmp_path: Path) -> None:
    (tmp_path / "net.joblib").write_bytes(pickle.dumps([]))
    with pytest.raises(InvalidModelError, match="unpickling runs any code.*--trust"):
        read(tmp_path / "net.joblib")


def test_a_script_may_return_any_model(tmp_path: Path) -> None:
    script = tmp_path / "make.py"
    script.write_text("import onnx\ndef model(): return onnx.ModelProto(), 1\ndef text(): return 3\ndef bad(): 1 / 0\n")
    assert len(read(f"{script}:model").graph.node) == 0
    with pytest.raises(InvalidModelError, match="of class int is no model"):
        read(f"{script}:text")
    with pytest.raises(Exception, match="bad failed.*ZeroDivisionError"):
        read(f"{script}:bad")


def test_examples_are_arguments() -> None:
    one = np.zeros(2)
    assert Given(one).arguments() == ((one,), {})
    assert Given([one, one]).arguments()[0] == (one, one)
    assert Given({"x": one}).arguments() == ((), {"x": one})
