"""Whether what a model file says of itself can be true: texts, and every tensor's bytes against its dimensions.

This comes before anything else reads a tensor, so that no claim of a file is believed with memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Any

import onnx
import onnx.helper

from ..ir.errors import InvalidModelError
from ..ir.mapped import is_mapped, size_of
from ..ir.memory import afford

_TYPES = onnx.TensorProto
_BITS = {"UINT2": 2, "INT2": 2, "UINT4": 4, "INT4": 4, "FLOAT4E2M1": 4, "FLOAT6E2M3": 6, "FLOAT6E3M2": 6}
_PACKED = {kind: _BITS[name] for name, kind in _TYPES.DataType.items() if name in _BITS}
_COMPLEX = (_TYPES.COMPLEX64, _TYPES.COMPLEX128)


def check_claims(model: onnx.ModelProto) -> None:
    """Raise InvalidModelError for a text that is not UTF-8, or a tensor whose type, dimensions and data disagree.

    Weights in other files must have been read or mapped. Time: linear in the fields of the model; no weight is copied.
    """
    for message in messages(model):
        if isinstance(message, onnx.SparseTensorProto):
            _check_sparse(message)
        elif isinstance(message, onnx.TensorProto):
            _check_tensor(message)
        elif isinstance(message, onnx.TypeProto.Tensor) and message.elem_type not in _TYPES.DataType.values():
            raise InvalidModelError(f"a tensor is declared with the unknown element type {message.elem_type}")


def messages(message: Any) -> Iterator[Any]:
    """Yield a protobuf message and all within it, outer ones first. Raises InvalidModelError for a broken text."""
    texts, inner = _parts(message)
    broken = next((text for text in texts if isinstance(text, bytes)), None)  # what protobuf makes of it
    if broken is not None:
        kind = type(message).__name__.removesuffix("Proto").lower()
        raise InvalidModelError(f"a text of a {kind} is not UTF-8", why=ascii(broken[:40]))
    yield message
    for each in inner:
        yield from messages(each)


def _parts(message: Any) -> tuple[list[Any], list[Any]]:
    """Return the texts and the messages that one holds."""
    if isinstance(message, onnx.TensorProto):  # a list of its fields would copy its data
        return [message.name, message.doc_string], list(message.external_data)
    texts: list[Any] = []
    inner: list[Any] = []
    for field, value in message.ListFields():
        if field.type not in (field.TYPE_STRING, field.TYPE_MESSAGE):
            continue
        found = texts if field.type == field.TYPE_STRING else inner
        found += [value] if isinstance(value, str | bytes) or hasattr(value, "ListFields") else value
    return texts, inner


def claimed_bytes(tensor: onnx.TensorProto) -> int:
    """Return how many bytes a tensor's dimensions take, as raw data. Raises InvalidModelError when they cannot be."""
    if tensor.data_type not in _TYPES.DataType.values() or tensor.data_type == _TYPES.UNDEFINED:
        raise InvalidModelError(f"tensor '{tensor.name}' has the unknown element type {tensor.data_type}")
    if any(dim < 0 for dim in tensor.dims):
        raise InvalidModelError(f"tensor '{tensor.name}' has a negative dimension", why=str(list(tensor.dims)))
    return (int(prod(tensor.dims)) * _bits(tensor.data_type) + 7) // 8


def _bits(kind: int) -> int:
    if kind == _TYPES.STRING:
        return 0
    return _PACKED.get(kind) or 8 * int(onnx.helper.tensor_dtype_to_np_dtype(kind).itemsize)


def _check_tensor(tensor: onnx.TensorProto) -> None:
    wanted, elements = claimed_bytes(tensor), prod(tensor.dims)
    if tensor.data_location == _TYPES.EXTERNAL and not is_mapped(tensor):
        hint = "give the path of the model, with these files beside it"
        raise InvalidModelError(f"the values of tensor '{tensor.name}' lie in another file", hint=hint)
    if tensor.data_type == _TYPES.STRING:
        raise InvalidModelError(f"tensor '{tensor.name}' holds texts", hint="only networks of numbers are read")
    if is_mapped(tensor):
        found, unit = size_of(tensor), "bytes"
    elif tensor.HasField("raw_data"):
        found, unit = len(tensor.raw_data), "bytes"
    else:
        found, unit = len(getattr(tensor, onnx.helper.tensor_dtype_to_field(tensor.data_type))), "entries"
        wanted = wanted if tensor.data_type in _PACKED else elements * (2 if tensor.data_type in _COMPLEX else 1)
    if found != wanted:
        why = f"{list(tensor.dims)} takes {wanted:,} {unit}, it has {found:,}"
        raise InvalidModelError(f"tensor '{tensor.name}' does not hold what its dimensions say", why=why)


def _check_sparse(sparse: onnx.SparseTensorProto) -> None:
    if any(dim < 0 for dim in sparse.dims):
        raise InvalidModelError(f"sparse tensor '{sparse.values.name}' has a negative dimension")
    afford(8 * prod(sparse.dims), f"sparse tensor '{sparse.values.name}' {list(sparse.dims)}")
