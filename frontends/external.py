"""Weights that lie in files beside the model: what is claimed of them is checked before a byte is read."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import onnx
import onnx.external_data_helper

from ..ir import mapped
from ..ir.errors import InvalidModelError
from ..ir.graph import Array
from ..ir.memory import afford
from .wellformed import claimed_bytes, messages


def read_external(model: onnx.ModelProto, folder: Path) -> None:
    """Put the values that lie in files of ``folder`` into the model; large weights of large models are mapped instead.

    Raises InvalidModelError for a file that is missing, outside of the folder or too short, BudgetError for values
    that need too much memory.
    """
    tensors = [each for each in messages(model) if isinstance(each, onnx.TensorProto) and _is_outside(each)]
    if not tensors:
        return
    if sum(_checked(tensor, folder) for tensor in tensors) >= mapped.WORTH:
        _map(filter(_is_outside, model.graph.initializer), folder)
    rest = [tensor for tensor in tensors if not mapped.is_mapped(tensor)]
    afford(2 * sum(map(claimed_bytes, rest)), "the weights beside the model")
    for tensor in rest:
        onnx.external_data_helper.load_external_data_for_tensor(tensor, str(folder))
        tensor.ClearField("data_location")


def _map(tensors: Iterable[onnx.TensorProto], folder: Path) -> None:
    """Let large weights, which were checked, stand for bytes of their files."""
    files: dict[Path, Array] = {}
    for tensor in tensors:
        said, size = _entries(tensor), claimed_bytes(tensor)
        if size > mapped.LEAST:
            path = folder / said["location"]
            if path not in files:
                files[path] = mapped.map_file(path)
            mapped.lay_out(tensor, path, int(said.get("offset") or 0), size)


def _entries(tensor: onnx.TensorProto) -> dict[str, str]:
    return {entry.key: entry.value for entry in tensor.external_data}


def _is_outside(tensor: onnx.TensorProto) -> bool:
    return tensor.data_location == onnx.TensorProto.EXTERNAL and not mapped.is_mapped(tensor)


def _checked(tensor: onnx.TensorProto, folder: Path) -> int:
    """Return how many bytes a tensor takes, which its file has."""
    said, wanted = _entries(tensor), claimed_bytes(tensor)
    offset, length = (_number(tensor, key, said.get(key, "")) for key in ("offset", "length"))
    if length is not None and length != wanted:
        raise _refused(tensor, f"{list(tensor.dims)} takes {wanted:,} bytes, its length is {length:,}")
    place = Path(said.get("location", ""))
    path = folder / place
    if place.is_absolute() or ".." in place.parts:
        raise _refused(tensor, f"'{place}' lies outside of the model's folder")
    if not path.is_file():
        raise _refused(tensor, f"'{path}' is missing")
    size = path.stat().st_size
    rest = size - (offset or 0)
    if rest < wanted or (length is None and rest != wanted):
        raise _refused(tensor, f"it takes {wanted:,} bytes from byte {offset or 0:,} of '{path}', which has {size:,}")
    return wanted


def _number(tensor: onnx.TensorProto, key: str, text: str) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdecimal()) or len(text) > 19:
        raise _refused(tensor, f"its {key} {text[:40]!r} is no number of bytes")
    return int(text)


def _refused(tensor: onnx.TensorProto, why: str) -> InvalidModelError:
    return InvalidModelError(f"the values of tensor '{tensor.name}' cannot be read", why=why)
