"""Shapes of every tensor, by the schema's own inference, on a model stripped of its large weights."""

from collections.abc import Mapping
from typing import cast

import numpy as np
import onnx
import onnx.helper

from .errors import InvalidModelError
from .graph import Dim, Graph
from .inference import inferred

_SMALL = 1024
Shape = tuple[int, ...]


def symbolic(graph: Graph) -> dict[str, tuple[Dim, ...]]:
    """Return the dimensions of every tensor whose rank is known: ints, symbols as written, None when unknown."""
    return _inferred(skeleton(graph))


def concrete(graph: Graph, sizes: Mapping[str, Shape]) -> dict[str, Shape]:
    """Return shapes as ints after giving each graph input the shape in ``sizes``.

    Tensors whose shape stays unknown are left out.
    """
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
    return {name: cast(Shape, dims) for name, dims in _inferred(model).items() if all(map(_is_known, dims))}


def input_sizes(graph: Graph, batch: int, other: int) -> dict[str, Shape]:
    """Choose a size for every input: declared ones stay, a leading symbol is ``batch``, further symbols ``other``."""
    symbols: dict[str, int] = {}
    sizes = {}
    for tensor in graph.inputs:
        shape = tensor.shape
        if shape is None:
            raise InvalidModelError(f"input '{tensor.name}' has no declared rank", hint="declare its dimensions")
        dims = []
        for axis, dim in enumerate(shape):
            wanted = dim if isinstance(dim, int) and dim > 0 else batch if axis == 0 else other
            dims.append(symbols.setdefault(dim, wanted) if isinstance(dim, str) and dim else wanted)
        sizes[tensor.name] = tuple(dims)
    return sizes


def skeleton(graph: Graph) -> onnx.ModelProto:
    """Return the model with every large constant turned into a typed input, so that inference costs no copies."""
    big = {t.name: t for t in graph.constants() if t.array.size > _SMALL}
    light = graph.copy()
    values = []
    for name, tensor in light.tensors().items():
        if name in big:
            light.set_array(tensor, np.zeros(0, tensor.dtype))
            kind = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(big[name].dtype))
            values.append(onnx.helper.make_tensor_value_info(name, kind, big[name].array.shape))
    model = light.to_model()
    kept = [tensor for tensor in model.graph.initializer if tensor.name not in big]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    model.graph.input.extend(values)
    return model


def _inferred(model: onnx.ModelProto) -> dict[str, tuple[Dim, ...]]:
    done = inferred(model)
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
