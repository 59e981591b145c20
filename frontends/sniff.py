"""Files that are no ONNX model, told by their first bytes or their names, and what makes one of them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from ..ir.errors import InvalidModelError

_FIRST = 512  # bytes that are looked at
_SOURCE = "export it from the framework that it was made with"
_BARE = "build the network, load the weights into it, and return it from a function: script.py:function"


class Kind(NamedTuple):
    """What a file is, and the way to an ONNX model."""

    what: str
    hint: str


_BYTES = {
    rb"version https://git-lfs": Kind("a pointer of Git LFS", "fetch the file itself: git lfs pull"),
    rb"\s*<(!DOCTYPE html|html)": Kind("a web page", "the download has failed; fetch the file itself"),
    rb"..\x00\x00TFL3": Kind("a TensorFlow Lite model", "call it .tflite"),
    rb"..\x00\x00ORTM": Kind("onnxruntime's own format", "give the .onnx file that it was made from"),
    rb"\x89HDF": Kind("an HDF5 file", "call it .h5 if it is a Keras model"),
    rb"GGUF": Kind("a GGUF file of weights", _BARE),
    rb".{4}\x00{4}\{": Kind("a safetensors file, which holds weights without a network", _BARE),
    rb"7767517\s": Kind("an ncnn model", _SOURCE),
    rb"RKNN": Kind("an RKNN model", "give the .onnx file that it was made from"),
    rb"ftrt|ptrt": Kind("a TensorRT engine", "give the .onnx file that it was made from"),
    rb"PK\x03\x04": Kind("a zip archive", "unpack it; a model of PyTorch is called .pt2 or .pt, one of Keras .keras"),
    rb"\x93NUMPY": Kind("an array of NumPy", "samples are given with --data"),
    rb"\x80[\x02-\x05]": Kind("a Python pickle", "call it .pt if PyTorch has written it, .joblib for scikit-learn"),
    rb"\x1f\x8b": Kind("packed by gzip", "unpack it"),
}
_PADDLE = Kind("a Paddle model", "paddle2onnx --model_dir D --model_filename F --params_filename P --save_file m.onnx")
_CAFFE = Kind("a Caffe model", "python -m caffe2onnx.convert --prototxt P --caffemodel C --onnx model.onnx")
_CORE_ML = Kind("a Core ML model", f"nothing turns programs back: {_SOURCE}; onnxmltools.convert_coreml reads old ones")
_OPENVINO = Kind("an OpenVINO model", f"nothing turns it back: {_SOURCE}")
_GRAPH = Kind(
    "a graph of TensorFlow",
    "python -m tf2onnx.convert --graphdef F --inputs x:0 --outputs y:0 --output m.onnx; "
    "of a saved_model.pb, give the folder",
)
_CHECKPOINT = Kind("a checkpoint of TensorFlow, weights without a network", "export a SavedModel, and give its folder")
_NAMES = {
    ".pdmodel": _PADDLE,
    ".pdiparams": _PADDLE,
    ".pdparams": Kind(
        "a file of Paddle's weights", "load them and call paddle.onnx.export(model, 'm', input_spec=[…])"
    ),
    ".caffemodel": _CAFFE,
    ".prototxt": _CAFFE,
    ".mlmodel": _CORE_ML,
    ".mlpackage": _CORE_ML,
    ".xml": _OPENVINO,
    ".pb": _GRAPH,
    ".ckpt": _CHECKPOINT,
    ".index": _CHECKPOINT,
    ".mnn": Kind("an MNN model", _SOURCE),
    ".param": Kind("an ncnn model", _SOURCE),
    ".params": Kind("an MXNet model", "mxnet.onnx.export_model exports it"),
    ".mar": Kind("an archive of TorchServe", "unpack it and give the model inside"),
    ".safetensors": Kind("a safetensors file, which holds weights without a network", _BARE),
    ".npz": Kind("a file of arrays", "samples are given with --data"),
    ".zip": Kind("a zip archive", "unpack it"),
}
_FOLDERS = {
    "config.json": Kind(
        "a folder of Hugging Face", "optimum-cli export onnx --model FOLDER OUT, and give OUT/model.onnx"
    ),
    "Manifest.json": _CORE_ML,
    "inference.pdmodel": _PADDLE,
    "inference.json": _PADDLE,
    "checkpoint": _CHECKPOINT,
}


def check_known(path: Path) -> None:
    """Raise InvalidModelError for a folder, or a file that is known to be something else than an ONNX model."""
    kind = _of_folder(path) if path.is_dir() else _of_file(path)
    if kind is not None:
        raise InvalidModelError(f"'{path}' is {kind.what}, no ONNX model", hint=kind.hint)


def _of_folder(path: Path) -> Kind:
    if path.suffix.lower() in _NAMES:
        return _NAMES[path.suffix.lower()]
    found = next((kind for name, kind in _FOLDERS.items() if (path / name).is_file()), None)
    inside = sorted(each.name for each in path.glob("*.onnx"))
    return found or Kind(
        "a folder", f"give '{path / inside[0]}'" if inside else "give a file, or a SavedModel's folder"
    )


def _of_file(path: Path) -> Kind | None:
    with path.open("rb") as file:
        first = file.read(_FIRST)
    told = next((kind for pattern, kind in _BYTES.items() if re.match(pattern, first, re.DOTALL)), None)
    return told or _NAMES.get(path.suffix.lower())
