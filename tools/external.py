"""Weights beside the model: what protobuf cannot hold in one file lies in a second one, ``NAME.data``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from math import prod
from pathlib import Path

import onnx
from onnx.external_data_helper import uses_external_data

from ..ir import wire
from ..ir.graph import Array, Graph
from ..ir.writing import Chunks
from .files import beside

_LIMIT = 2**31 - 2**26  # bytes of weights; protobuf refuses files of 2 GiB, and a graph needs some
_SMALL = 1024  # bytes of a tensor that stays in the model
_PAGE = 4096
_MOST_READ = 2**31


def model_files(graph: Graph, path: Path) -> dict[Path, Chunks]:
    """Return what to write for a model: one file, or weights and then the model. No weight is copied."""
    model, values = graph.light()
    weights = [t for t in _stored(model.graph) if t.name in values or t.HasField("raw_data")]
    if sum(map(_size, weights)) <= _LIMIT:
        return {path: wire.written(model, values)}
    data = beside(path)
    large = [tensor for tensor in weights if _size(tensor) > _SMALL]
    chunks = _moved(large, values, data.name)
    return {data: chunks, path: (part.SerializeToString(deterministic=True) for part in [model])}


def locations(path: Path) -> set[Path]:
    """List the files of a model's external data; none of what cannot be read."""
    try:
        if not path.is_file() or path.stat().st_size > _MOST_READ:
            return set()
        model = onnx.load(path, load_external_data=False)
    except Exception:  # whatever it is, it is reported when the model is read
        return set()
    outside = (tensor for tensor in _stored(model.graph) if uses_external_data(tensor))
    names = {entry.value for tensor in outside for entry in tensor.external_data if entry.key == "location"}
    return {(path.parent / name).resolve() for name in names}


def _moved(tensors: Iterable[onnx.TensorProto], known: Mapping[str, Array], name: str) -> Iterator[wire.Chunk]:
    """Yield the bytes of tensors, each from a new page on, and leave in the model where they are."""
    end = 0
    for tensor in tensors:
        values = tensor.raw_data if tensor.HasField("raw_data") else wire.as_bytes(known[tensor.name])
        start = -(-end // _PAGE) * _PAGE
        yield bytes(start - end)
        yield values
        end = start + len(values)
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        for key, value in (("location", name), ("offset", str(start)), ("length", str(len(values)))):
            tensor.external_data.add(key=key, value=value)


def _stored(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    """List the tensors of a graph and of the graphs inside it."""
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            yield from [attribute.t] if attribute.HasField("t") else attribute.tensors
            for inner in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
                yield from _stored(inner)


def _size(tensor: onnx.TensorProto) -> int:
    return int(prod(tensor.dims) * onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize)
