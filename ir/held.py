"""Inputs that are held: at one value, or at one size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .graph import Array, Dim, Graph


def hold_values(graph: Graph, values: Mapping[str, Array]) -> None:
    """Store the values of inputs, by name, in their place; these inputs go."""
    tensors = graph.tensors()
    for name, array in values.items():
        graph.make_constant(tensors[name], array)
    graph.set_inputs([tensor for tensor in graph.inputs if tensor.name not in values])


def hold_sizes(graph: Graph, shapes: Mapping[str, Sequence[int]]) -> None:
    """Declare inputs, by name, to have these shapes, and sizes that are called as one of theirs is to be that.

    Shapes fit what is declared, as :func:`.sizes.check` tells.
    """
    declared = {
        each.name: each.type.tensor_type.shape for each in (*graph._base.graph.input, *graph._base.graph.output)
    }
    pairs = ((tensor.shape or (), shapes[tensor.name]) for tensor in graph.inputs if tensor.name in shapes)
    known = {dim: size for dims, shape in pairs for dim, size in zip(dims, shape, strict=True) if isinstance(dim, str)}
    for tensor in (*graph.inputs, *graph.outputs):
        dims: Sequence[Dim] = shapes.get(tensor.name) or [_size(dim, known) for dim in tensor.shape or ()]
        if tensor.shape is None or tensor.name not in declared:
            continue
        tensor._raw.shape = list(dims)
        for written, dim in zip(declared[tensor.name].dim, dims, strict=True):
            if isinstance(dim, int) and dim > 0:
                written.dim_value = dim


def _size(dim: Dim, known: Mapping[str, int]) -> Dim:
    return known.get(dim, dim) if isinstance(dim, str) else dim
