"""What is read from and written to models: constants read once, and models written with their large weights apart."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import onnx
import onnx_graphsurgeon as gs
from onnx_graphsurgeon.ir.tensor import LazyValues

from . import mapped
from .handles import Array
from .kept import Packed, Without, mended
from .protos import declare
from .scopes import hoist, shared_names
from .wire import as_bytes

_LARGE = 1024  # bytes of a constant that is written apart
Metadata = dict[str, dict[str, str]]


def read_once(constant: Any) -> None:
    """Read values for good, or every copy would read its own; those in mapped files stay there."""
    held = constant._values
    if isinstance(held, LazyValues) and isinstance(held.tensor, onnx.TensorProto) and mapped.is_mapped(held.tensor):
        constant.values, constant.data_location = mapped.values(held.tensor), None
    _ = constant.values


def noted(nodes: Iterable[Any], protos: Iterable[onnx.NodeProto]) -> Metadata:
    """Return what is noted at nodes that were read from ``protos``, in the same order, by their names."""
    pairs = zip(nodes, protos, strict=True)
    return {
        node.name: {entry.key: entry.value for entry in proto.metadata_props}
        for node, proto in pairs
        if proto.metadata_props
    }


def owned(metadata: Metadata) -> Metadata:
    """Copy notes, those of every node too: what one graph notes is not noted at another."""
    return {name: dict(notes) for name, notes in metadata.items()}


def light(raw: gs.Graph, base: onnx.ModelProto, metadata: Metadata) -> tuple[onnx.ModelProto, dict[str, Array]]:
    """Write a graph with what ``base`` declares, and the values of its large weights apart, by name, uncopied."""
    shared = shared_names(raw)
    large = {each.name: each for each in _constants(raw) if each.name not in shared and _stands_apart(each.values)}
    model = _written(raw, base, metadata, large, shared)
    return model, {name: constant.values for name, constant in large.items()}


def bare(
    raw: gs.Graph, base: onnx.ModelProto, metadata: Metadata, entries: int
) -> tuple[onnx.ModelProto, dict[str, Array]]:
    """Write a graph without its constants of more than ``entries`` entries, which are returned by name, uncopied."""
    large = {each.name: each for each in _constants(raw) if each.values.size > entries}
    model = _written(raw, base, metadata, large, shared_names(raw))
    kept = [tensor for tensor in model.graph.initializer if tensor.name not in large]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    return model, {name: constant.values for name, constant in large.items()}


def _written(
    raw: gs.Graph, base: onnx.ModelProto, metadata: Metadata, large: Mapping[str, gs.Constant], shared: set[str]
) -> onnx.ModelProto:
    """Write a graph in which what is ``large`` has dimensions and no values."""
    with Without(large.values()), Packed(raw):
        graph = gs.export_onnx(raw, do_type_check=False).graph
    mended(graph, raw)
    for tensor in graph.initializer:
        if tensor.name in large:
            tensor.dims[:] = large[tensor.name].values.shape
            tensor.ClearField("raw_data")
    declare(graph.input, base.graph.input)
    declare(graph.output, base.graph.output)
    del graph.value_info[:]
    graph.name, graph.doc_string = base.graph.name, base.graph.doc_string
    model = onnx.ModelProto()
    model.CopyFrom(base)
    model.graph.CopyFrom(graph)
    if shared:
        hoist(model.graph, shared)
    for node in model.graph.node if metadata else ():
        for key, value in metadata.get(node.name, {}).items():
            node.metadata_props.add(key=key, value=value)
    return model


def whole(model: onnx.ModelProto, values: Mapping[str, Array]) -> onnx.ModelProto:
    """Put the values of a model's large weights into it."""
    for tensor in model.graph.initializer:
        if tensor.name in values:
            tensor.raw_data = bytes(as_bytes(values[tensor.name]))
    return model


def _constants(raw: gs.Graph) -> Iterator[gs.Constant]:
    return (tensor for node in raw.nodes for tensor in node.inputs if isinstance(tensor, gs.Constant))


def _stands_apart(array: Array) -> bool:
    """Whether a constant is large, and of a type that is written as it lies in memory."""
    return array.nbytes > _LARGE and array.dtype.kind in "fiu" and array.dtype.isnative
