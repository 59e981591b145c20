"""What ``onnx_graphsurgeon`` loses of a model: attributes that it drops or cannot write, and packed element types.

An empty list has no type of its own, so its type is kept beside it; attributes of other kinds than numbers, texts,
tensors and graphs (types, sparse tensors, lists of tensors) stay as they were read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import onnx
import onnx.defs
import onnx.numpy_helper
import onnx_graphsurgeon as gs
from onnx_graphsurgeon.ir.tensor import LazyValues
from onnx_graphsurgeon.logger import G_LOGGER

G_LOGGER.severity = G_LOGGER.ERROR  # its warnings are about what is mended here

_KINDS = onnx.AttributeProto
_READ = frozenset({_KINDS.FLOAT, _KINDS.INT, _KINDS.STRING, _KINDS.TENSOR, _KINDS.GRAPH})
_LISTS = frozenset({_KINDS.FLOATS, _KINDS.INTS, _KINDS.STRINGS})


class Kept(gs.Node.AttributeRef):  # type: ignore[misc]
    """An attribute that is written as it was read; ``proto`` is the whole of it."""

    def __init__(self, proto: onnx.AttributeProto) -> None:
        super().__init__("kept", int)  # that a reference is written, where `mended` puts the attribute
        self.proto = proto

    @property
    def value(self) -> Any:
        """The value: a list for one that is empty, else a proto or a list of protos."""
        return onnx.helper.get_attribute_value(self.proto)


def writable(op: str, domain: str, name: str, value: Any) -> Any:
    """Return an attribute's value so that it can be written: an empty list gets the type that the schema gives it.

    Of integers where there is no schema.
    """
    if not isinstance(value, list | tuple) or value:
        return value
    try:
        kind = int(onnx.defs.get_schema(op, domain).attributes[name].type)  # type: ignore[call-overload]
    except (onnx.defs.SchemaError, KeyError):
        kind = _KINDS.INTS
    return Kept(onnx.AttributeProto(name=name, type=kind if kind in _LISTS else _KINDS.INTS))


def keep(nodes: Iterable[Any], protos: Iterable[onnx.NodeProto]) -> None:
    """Put what was lost back into nodes as they were read from ``protos``, in the same order; subgraphs too."""
    for node, proto in zip(nodes, protos, strict=True):
        for attribute in proto.attribute:
            if attribute.type == _KINDS.GRAPH:
                keep(node.attrs[attribute.name].nodes, attribute.g.node)
            elif _is_lost(attribute):
                node.attrs[attribute.name] = Kept(attribute)


def _is_lost(attribute: onnx.AttributeProto) -> bool:
    if attribute.type in _LISTS:
        return not (attribute.ints or attribute.floats or attribute.strings)
    return attribute.type not in _READ


def mended(written: onnx.GraphProto, graph: Any) -> None:
    """Write what is kept into the nodes of an exported graph; subgraphs too. Time: linear in the attributes."""
    for node, proto in zip(graph.nodes, written.node, strict=True):
        for value, attribute in zip(node.attrs.values(), proto.attribute, strict=True):
            if isinstance(value, gs.Graph):
                mended(attribute.g, value)
            elif isinstance(value, Kept):
                name = attribute.name
                attribute.CopyFrom(value.proto)
                attribute.name = name


def numpy_type(kind: Any) -> Any:
    """Return the numpy dtype of an element type that is given as in the file, or is one already; None stays."""
    return onnx.helper.tensor_dtype_to_np_dtype(kind) if isinstance(kind, int) and kind else kind or None


class Packed:
    """While it is entered, constants of types that numpy has not are written from protos of our own."""

    def __init__(self, graph: Any) -> None:
        arrays = ((each, each._values) for each in _stored(graph))
        self._held = [(e, array) for e, array in arrays if isinstance(array, np.ndarray) and array.dtype.kind == "V"]

    def __enter__(self) -> None:
        for constant, array in self._held:
            constant._values = LazyValues(onnx.numpy_helper.from_array(array, constant.name))

    def __exit__(self, *_: object) -> None:
        for constant, array in self._held:
            constant._values = array


class Without:
    """While it is entered, constants are written without values."""

    def __init__(self, constants: Iterable[Any]) -> None:
        self._held = [(each, each._values) for each in constants]

    def __enter__(self) -> None:
        for constant, array in self._held:
            constant._values = np.empty(0, array.dtype)

    def __exit__(self, *_: object) -> None:
        for constant, array in self._held:
            constant._values = array


def _stored(graph: Any) -> Iterator[Any]:
    for scope in (graph, *graph.subgraphs(recursive=True)):
        attributes = (value for node in scope.nodes for value in node.attrs.values())
        yield from (each for each in (*scope.tensors().values(), *attributes) if isinstance(each, gs.Constant))
