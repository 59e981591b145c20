"""The front ends by name: each turns models of one kind into ONNX."""

from pathlib import Path
from typing import Protocol, runtime_checkable

import onnx
from google.protobuf.message import DecodeError

from ..ir import mapped, wire
from ..ir.errors import InvalidModelError, OptimiseOnnxError
from ..ir.memory import afford
from ..ir.registry import Registry
from .external import read_external
from .given import NOTHING, Given, called, suffix
from .jax import JAX
from .keras import KERAS
from .returned import RETURNED
from .scripts import said
from .sklearn import SKLEARN
from .sniff import check_known
from .tensorflow import SAVED_MODEL, TFLITE
from .torch import TORCH

_MOST = 2**31 - 1
_COPIES = 3  # of the weights: the file as read, the model, and the arrays that are made of it


@runtime_checkable
class FrontEnd(Protocol):
    """Reads models of one kind. It imports the library that it needs in ``load``, not before."""

    def reads(self, source: object) -> bool:
        """Whether a path, bytes or an object in memory is such a model: by its suffix, first bytes or type."""

    def load(self, source: object, given: Given) -> onnx.ModelProto:
        """Return the model. What this raises is reported as an unreadable model."""


class Onnx:
    """Files of any other name are taken for ONNX files as well."""

    def reads(self, source: object) -> bool:
        """Whether it is a model, bytes, or a file called ``.onnx``."""
        return isinstance(source, onnx.ModelProto | bytes) or suffix(source) == ".onnx"

    def load(self, source: object, _given: Given = NOTHING) -> onnx.ModelProto:
        """Parse without checking. Raises InvalidModelError."""
        if isinstance(source, onnx.ModelProto):
            return source
        if not isinstance(source, str | Path | bytes):
            hint = "give a file, or a model of PyTorch, Keras, scikit-learn or JAX"
            raise InvalidModelError(f"an object of class {type(source).__name__} is no model", hint=hint)
        try:
            if isinstance(source, bytes):
                return onnx.load_model_from_string(source)
            return _from_file(Path(str(source)))
        except DecodeError as error:
            why = "it is not an ONNX file, or is cut short"
            raise InvalidModelError(f"cannot read {called(source)}", why=why) from error
        except (OSError, onnx.checker.ValidationError) as error:
            raise InvalidModelError(f"cannot read {called(source)}", why=str(error).splitlines()[0]) from error


def _from_file(path: Path) -> onnx.ModelProto:
    if path.is_file() or path.is_dir():
        check_known(path)
    else:
        raise InvalidModelError(f"cannot read '{path}'", why="no such file")
    size = path.stat().st_size
    if size > _MOST:
        why = f"{size:,} bytes are more than the 2 GiB that a file of this format can hold"
        raise InvalidModelError(f"cannot read '{path}'", why=why, hint="store the weights in a file beside it")
    model = _with_mapped(path) if size >= mapped.WORTH else None
    if model is None:
        afford(_COPIES * size, f"'{path}'")
        model = onnx.load(path, load_external_data=False)
    read_external(model, path.parent)
    return model


def _with_mapped(path: Path) -> onnx.ModelProto | None:
    """Parse a large file but for its large weights, which are mapped; None for one that is written in another way."""
    found = wire.apart(mapped.map_file(path), mapped.LEAST)
    if found is None:
        return None
    for tensor in found.model.graph.initializer:
        if tensor.name in found.places:
            begin, end = found.places[tensor.name]
            mapped.lay_out(tensor, path, begin, end - begin)
    return found.model


ONNX = Onnx()
OURS: dict[str, FrontEnd] = {  # a Keras model is a module of PyTorch where that is its backend
    "onnx": ONNX,
    "script": RETURNED,
    "keras": KERAS,
    "torch": TORCH,
    "saved-model": SAVED_MODEL,
    "tflite": TFLITE,
    "sklearn": SKLEARN,
    "jax": JAX,
}
FRONT_ENDS: Registry[FrontEnd] = Registry("front end", "optimise_onnx.front_ends", OURS, kind=FrontEnd)


def read(source: object, given: Given = NOTHING) -> onnx.ModelProto:
    """Read a model with the first front end that takes it, ours before those of other packages, by name.

    Raises InvalidModelError, and UsageError for a front end that cannot be imported.
    """
    name = next((name for name in FRONT_ENDS if FRONT_ENDS[name].reads(source)), "onnx")
    try:
        return FRONT_ENDS[name].load(source, given)
    except OptimiseOnnxError:
        raise
    except Exception as error:  # whatever a framework, or another package's reader, meets
        raise InvalidModelError(f"the front end '{name}' cannot read {called(source)}", why=said(error)) from error
