"""Weights that lie in files beside the model: what is claimed of them is checked before a byte is read."""

from __future__ import annotations

from pathlib import Path

import onnx
import onnx.external_data_helper

from ..ir.errors import InvalidModelError
from ..ir.memory import afford
from .wellformed import claimed_bytes, messages


def read_external(model: onnx.ModelProto, folder: Path) -> None:
    """Put the values that lie in files of ``folder`` into the model.

    Raises InvalidModelError for a file that is missing, outside of the folder or too short, BudgetError for values
    that need too much memory.
    """
    tensors = [each for each in messages(model) if isinstance(each, onnx.TensorProto) and _is_outside(each)]
    if not tensors:
        return
    total = sum(_checked(tensor, folder) for tensor in tensors)
    afford(2 * total, "the weights beside the model")
    onnx.external_data_helper.load_external_data_for_model(model, str(folder))


def _is_outside(tensor: onnx.TensorProto) -> bool:
    return tensor.data_location == onnx.TensorProto.EXTERNAL


def _checked(tensor: onnx.TensorProto, folder: Path) -> int:
    """Return how many bytes a tensor takes, which its file has."""
    said, wanted = {entry.key: entry.value for entry in tensor.external_data}, claimed_bytes(tensor)
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
