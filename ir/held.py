"""Inputs that are held: at one value, or at one size."""

from __future__ import annotations

from collections.abc import Mapping

from .graph import Array, Graph, Tensor
from .sizes import UNNAMED


def hold_values(graph: Graph, values: Mapping[str, Array]) -> None:
    """Store the values of inputs, by name, in their place; these inputs go. An output of the same name stays."""
    tensors = graph.tensors()
    for name, array in values.items():
        tensor = tensors[name]
        if graph.is_output(tensor):
            stored = graph.constant(f"{name}_held", array)
            graph.replace_uses(tensor, stored)
            graph.insert("Identity", [stored], [tensor])
        else:
            graph.make_constant(tensor, array)
    graph.set_inputs([tensor for tensor in graph.inputs if tensor.name not in values])


def open_names(graph: Graph) -> dict[str, tuple[int | str, ...]]:
    """Return the dimensions of every input of known rank: fixed ones as numbers, others by symbol, or ``input[axis]``
    where they have none; the batch is one of them.
    """
    return {each.name: _names(each) for each in graph.inputs if each.shape is not None}


def _names(tensor: Tensor) -> tuple[int | str, ...]:
    dims = enumerate(tensor.shape or ())
    return tuple(dim if dim and dim != UNNAMED else f"{tensor.name}[{axis}]" for axis, dim in dims)


def hold_sizes(graph: Graph, sizes: Mapping[str, int]) -> None:
    """Declare dimensions of inputs, by the names of :func:`open_names`, to be of one size, and those of outputs."""
    for tensor in (*graph.inputs, *graph.outputs):
        if tensor.shape is None:
            continue
        names = zip(tensor.shape, _names(tensor), strict=True)
        dims = [sizes.get(name, own) if isinstance(name, str) else own for own, name in names]
        tensor._raw.shape = dims
        for value in (*graph._base.graph.input, *graph._base.graph.output):
            if value.name == tensor.name:
                for written, dim in zip(value.type.tensor_type.shape.dim, dims, strict=True):
                    if isinstance(dim, int) and dim > 0:
                        written.dim_value = dim
