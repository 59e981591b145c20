"""Keras 3: models in memory, ``.keras`` and ``.h5`` files, on whichever backend is there."""

from __future__ import annotations

import os
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import onnx

from ..ir.errors import InvalidModelError
from .given import Given, called, distrusted, existing, is_a, library, suffix
from .scripts import said

MODEL = "keras.src.models.model.Model"
OPSET = 18  # what tf2onnx writes best, and the export of the torch backend as well
_BACKEND = "KERAS_BACKEND"
_BACKENDS = ("tensorflow", "torch", "jax")


class Keras:
    """Exports with ``model.export(…, format='onnx')``, in the layout that it writes."""

    def reads(self, source: object) -> bool:
        """Whether it is a model, or a file called ``.keras``, ``.h5`` or ``.hdf5``."""
        return is_a(source, MODEL) or suffix(source) in (".keras", ".h5", ".hdf5")

    def load(self, source: object, given: Given) -> onnx.ModelProto:
        """Export. Raises InvalidModelError for what holds no model or lacks an example, UsageError without Keras."""
        path = None if is_a(source, MODEL) else existing(source)
        _choose_backend()
        keras = library("keras", source, "keras")
        if keras.backend.backend() == "tensorflow":
            library("tf2onnx", source, "keras")
        if path is not None:
            source = _opened(keras, path, given.trust)
        _call_once(keras, source, given)
        return _exported(source)


KERAS = Keras()


def _choose_backend() -> None:
    """Take a backend that is installed, where nobody has chosen one: Keras itself would insist on TensorFlow."""
    there = next((name for name in _BACKENDS if find_spec(name) is not None), None)
    if "keras" not in sys.modules and there is not None:
        os.environ.setdefault(_BACKEND, there)


def _opened(keras: Any, path: Path, trust: bool) -> Any:
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=not trust)
    except ValueError as error:
        if "safe_mode" in str(error) or "unsafe" in str(error):
            why = "it holds Python code, as a Lambda layer does, which reading it would run"
            raise distrusted(path, why, "write the layer as a class of its own") from error
        if "No model config" in str(error) or "weights.h5" in str(error):
            hint = "build the model, load_weights, and save it as .keras"
            raise InvalidModelError(f"'{path}' holds weights without a network", hint=hint) from error
        raise InvalidModelError(f"Keras cannot read '{path}'", why=said(error)) from error


def _call_once(keras: Any, model: Any, given: Given) -> None:
    """Let the model see its inputs, which an export asks for. Raises InvalidModelError where nothing tells them."""
    if given.example_inputs is not None:
        args, named = given.arguments()
        model(*args, **named)
        return
    if not getattr(model, "inputs", None):
        why = "a model of a class of its own is exported with an example of its inputs"
        raise InvalidModelError(f"{called(model)} declares no inputs", why=why, hint="give example_inputs in Python")
    example = [keras.ops.zeros([size or 1 for size in each.shape], each.dtype) for each in model.inputs]
    structure = getattr(model, "input", model.inputs)
    single = len(example) == 1 and not isinstance(structure, dict)
    model(example[0] if single else keras.tree.pack_sequence_as(structure, example))


def _exported(model: Any) -> onnx.ModelProto:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        try:
            model.export(str(path), format="onnx", verbose=False, opset_version=OPSET)
        except Exception as error:  # all that tracing can meet
            raise InvalidModelError("Keras cannot export the model", why=said(error)) from error
        return spelled(onnx.load(path))


def spelled(model: onnx.ModelProto) -> onnx.ModelProto:
    """Write ``Erfc``, which TensorFlow's converter leaves and ONNX lacks, as 1 - Erf."""
    nodes = []
    for node in model.graph.node:
        if node.op_type != "Erfc":
            nodes.append(node)
            continue
        one, inner = f"{node.output[0]}.one", f"{node.output[0]}.erf"
        model.graph.initializer.append(onnx.helper.make_tensor(one, onnx.TensorProto.FLOAT, [], [1.0]))
        nodes.append(onnx.helper.make_node("Erf", node.input, [inner], name=node.name))
        nodes.append(onnx.helper.make_node("Sub", [one, inner], node.output, name=f"{node.name}.complement"))
    if len(nodes) != len(model.graph.node):
        del model.graph.node[:]
        model.graph.node.extend(nodes)
    return model
