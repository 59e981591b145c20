"""Shapes of every tensor, by the schema's own inference, on a model stripped of its large weights."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import cast

import numpy as np
import onnx
import onnx.helper

from .arithmetic import store_lists
from .errors import InvalidModelError
from .graph import Dim, Graph
from .inference import element_types, inferred
from .sizes import BATCH, SIDES, Declared, Sizes, batch_of, open_dims, shapes_at
from .sizes import Shape as Shape

_SMALL = 1024


def symbolic(graph: Graph) -> dict[str, tuple[Dim, ...]]:
    """Return the dimensions of every tensor whose rank is known: ints, symbols as written, None when unknown."""
    return dimensions(inferred(skeleton(graph)))


def concrete(graph: Graph, sizes: Mapping[str, Shape]) -> dict[str, Shape]:
    """Return shapes as ints after giving each graph input the shape in ``sizes``.

    Tensors whose shape stays unknown, to inference and to the runs that the graph's sizes tell of, are left out.
    """
    return told(graph, sizes)[0]


def told(graph: Graph, sizes: Mapping[str, Shape]) -> tuple[dict[str, Shape], frozenset[str]]:
    """Return :func:`concrete` shapes, and which of them a run has shown and not followed from others."""
    model = at_sizes(graph, sizes)
    found = _numbers(model)
    while not complete(graph, found) and store_lists(model, found):
        found = _numbers(model)
    shown: set[str] = set()
    while (batch := _first_seen(graph, sizes, found)) and not batch <= shown:
        declared_too = _with_seen(model, graph, sizes, batch)
        try:
            found = found | _numbers(declared_too)
        except InvalidModelError:  # it is not that shape at these sizes
            break
        model, shown = declared_too, shown | batch
    return found, frozenset(shown)


def at_sizes(graph: Graph, sizes: Mapping[str, Shape]) -> onnx.ModelProto:
    """Return the :func:`skeleton` with these shapes of its inputs, and no shape declared of what it computes."""
    model = skeleton(graph)
    for value in model.graph.input:
        if value.name in sizes:
            del value.type.tensor_type.shape.dim[:]
            for size in sizes[value.name]:
                value.type.tensor_type.shape.dim.add().dim_value = size
    computed = {tensor.name for tensor in graph.outputs if tensor.producer is not None}
    for value in model.graph.output:
        if value.name in computed:
            value.type.tensor_type.ClearField("shape")
    return model


def inner_shapes(graph: Graph, sizes: Mapping[str, Shape]) -> dict[str, Shape]:
    """Return what :func:`concrete` would say of tensors inside branches, whose nodes are looked at as if they stood
    before the If.
    """
    model = at_sizes(graph, sizes)
    found, shown = told(graph, sizes)
    if shown:
        model = _with_seen(model, graph, sizes, shown)
    nodes = [inner for node in model.graph.node for inner in _opened(node, model)]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    try:
        return {name: shape for name, shape in _numbers(model).items() if name not in found}
    except InvalidModelError:  # names of two branches meet
        return {}


def _opened(node: onnx.NodeProto, model: onnx.ModelProto) -> Iterator[onnx.NodeProto]:
    """Yield what the branches of an If hold, then the node; their weights go to the model."""
    for attribute in node.attribute if node.op_type == "If" else ():
        model.graph.initializer.extend(attribute.g.initializer)
        for inner in attribute.g.node:
            yield from _opened(inner, model)
    yield node


def _first_seen(graph: Graph, sizes: Mapping[str, Shape], found: Mapping[str, Shape]) -> set[str]:
    """Name what runs have shown of the first nodes whose outputs are unknown, behind known inputs."""
    seen = {} if graph.sizes is None else graph.sizes.seen
    unknown = {t.name for node in graph.nodes for t in node.outputs if t.name in seen and t.name not in found}
    return {
        tensor.name
        for node in graph.nodes
        if unknown and not any(read.name in unknown for read in (*node.inputs, *node.captures()))
        for tensor in node.outputs
        if tensor.name in unknown
    }


def _with_seen(
    model: onnx.ModelProto, graph: Graph, sizes: Mapping[str, Shape], names: Collection[str]
) -> onnx.ModelProto:
    assert graph.sizes is not None
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    results = {value.name: value for value in changed.graph.output}
    batch = batch_of(declared(graph), sizes)
    for name in sorted(names):
        seen = graph.sizes.seen[name]
        kind = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(seen.dtype))
        value = onnx.helper.make_tensor_value_info(name, kind, seen.shape(batch))
        if name in results:
            results[name].CopyFrom(value)
        else:
            changed.graph.value_info.append(value)
    return changed


def _numbers(model: onnx.ModelProto) -> dict[str, Shape]:
    dims = dimensions(inferred(model))
    return {name: cast(Shape, shape) for name, shape in dims.items() if all(map(_is_known, shape))}


def settled(graph: Graph, shapes: Mapping[str, Shape]) -> Graph:
    """Return a graph in which the lists are stored that follow from ``shapes``: itself where there are none."""
    model = graph.to_model()
    return Graph.of(model) if store_lists(model, shapes) else graph


def complete(graph: Graph, shapes: Mapping[str, Shape]) -> bool:
    """Whether ``shapes`` holds every tensor that a node of the graph computes."""
    return all(t.name in shapes for node in graph.nodes for t in node.outputs if t.name)


def input_sizes(graph: Graph, batch: int) -> dict[str, Shape]:
    """Return the shape of every input for ``batch`` samples: declared dimensions, and the sizes kept with the graph.

    A graph that has none yet is given some that :func:`tried` finds. Raises InvalidModelError for an input without
    a declared rank.
    """
    dims = declared(graph)
    for tensor in graph.inputs:
        if tensor.name not in dims:
            raise InvalidModelError(f"input '{tensor.name}' has no declared rank", hint="declare its dimensions")
    if graph.sizes is None or not graph.sizes.of.keys() >= set(open_dims(dims)):
        graph.sizes = tried(graph, {})
    return shapes_at(dims, graph.sizes.of, batch)


def tried(graph: Graph, known: Mapping[str, int]) -> Sizes:
    """Add to the ``known`` open dimensions one size for all others, the first at which inference tells every shape.

    Where it never does, the size at which it tells most.
    """
    dims = declared(graph)
    missing = frozenset(open_dims(dims)).difference(known)
    base = graph.sizes or Sizes()
    best, most = replace(base, of=known, tried=frozenset(), seen={}), -1
    for side in SIDES if missing else ():
        sizes = replace(base, of={**known, **dict.fromkeys(sorted(missing), side)}, tried=missing, seen={})
        found = _told(graph, shapes_at(dims, sizes.of, 1))
        if len(found) > most:
            best, most = sizes, len(found)
        if complete(graph, found):
            break
    return best


def declared(graph: Graph) -> Declared:
    """Return the declared dimensions of every input of known rank, as the sizes kept with the graph have them: those of
    constants are fixed, and what counts samples is :data:`.sizes.BATCH` where that is not the first.
    """
    sizes = graph.sizes or Sizes()
    found = {tensor.name: tensor.shape for tensor in graph.inputs if tensor.shape is not None}
    for name, array in sizes.constants.items():
        found[name] = array.shape
    for name, axis in sizes.axes.items():
        dims = found.get(name, ())
        found[name] = (*dims[:axis], BATCH, *dims[axis + 1 :])
    return found


def _told(graph: Graph, sizes: Mapping[str, Shape]) -> dict[str, Shape]:
    try:
        return concrete(graph, sizes)
    except InvalidModelError:
        return {}


def skeleton(graph: Graph) -> onnx.ModelProto:
    """Return the model with every large constant turned into a typed input, so that inference costs no copies."""
    model, big = graph.bare(_SMALL)
    for name, array in big.items():
        kind = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(array.dtype))
        model.graph.input.append(onnx.helper.make_tensor_value_info(name, kind, array.shape))
    return model


def infer_types(graph: Graph) -> None:
    """Note the element types of computed tensors that were not known, where inference tells them now."""
    unknown = {name: tensor for name, tensor in graph.tensors().items() if tensor.dtype is None}
    types = element_types(skeleton(graph)) if unknown else {}
    for name in unknown.keys() & types.keys():
        unknown[name].set_dtype(types[name])


def dimensions(done: onnx.ModelProto) -> dict[str, tuple[Dim, ...]]:
    """Return the dimensions that a model declares, of every tensor whose rank is known."""
    shapes: dict[str, tuple[Dim, ...]] = {t.name: tuple(t.dims) for t in done.graph.initializer}
    for value in (*done.graph.input, *done.graph.value_info, *done.graph.output):
        kind = value.type.tensor_type
        if value.type.HasField("tensor_type") and kind.HasField("shape"):
            shapes[value.name] = tuple(_dim(dim) for dim in kind.shape.dim)
    return shapes


def _is_known(dim: Dim) -> bool:
    return isinstance(dim, int) and dim >= 0


def _dim(dim: onnx.TensorShapeProto.Dimension) -> Dim:
    if dim.HasField("dim_value"):
        return dim.dim_value
    return dim.dim_param or None
