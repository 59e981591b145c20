"""Which constants of a graph are tuned."""

from __future__ import annotations

from collections.abc import Container, Mapping
from math import prod

import numpy as np

from ....ir.adjoint.lowering.lowered import lowers
from ....ir.adjoint.program import differentiable
from ....ir.feeds import batch_size
from ....ir.graph import Graph, Node, Tensor
from ....ir.memory import afford, limit
from ....ir.shapes import Shape, concrete, input_sizes
from ...analysis.channels.labels import WEIGHTED

_PLACES = {
    "BatchNormalization": (1, 2),
    "Conv": (1, 2),
    "ConvTranspose": (1, 2),
    "GRU": (1, 2, 3),
    "Gemm": (1, 2),
    "GroupNormalization": (1, 2),
    "InstanceNormalization": (1, 2),
    "LSTM": (1, 2, 3),
    "LayerNormalization": (1, 2),
    "MatMul": (0, 1),
    "PRelu": (1,),
    "RMSNormalization": (1,),
    "RNN": (1, 2, 3),
}
_SHIFTS = ("Add", "Div", "Mul", "Sub")
_HELD = 12  # bytes for every entry that the forward pass computes: itself, its slope, and what is on the way
_FEW = 2  # distinct values that make a vector a mask, and no scale or shift


def tunable(graph: Graph) -> list[Tensor]:
    """Return the float32 weights, scales and biases of layers, each once, in order of first use.

    A constant that is added or multiplied is one where it is a vector along one axis, of more than two values, behind a
    layer: masks, tables of positions and what prepares an input stay as they are.
    """
    behind = _behind_layers(graph)
    places = {node.name: _tuned(node, behind) for node in graph.nodes}
    found = [node.inputs[place] for node in graph.nodes for place in places[node.name]]
    return [tensor for tensor in dict.fromkeys(found) if _alone(tensor, places)]


def _behind_layers(graph: Graph) -> set[Tensor]:
    found: set[Tensor] = set()
    for node in graph.nodes:
        if node.op in WEIGHTED or not found.isdisjoint((*node.inputs, *node.captures())):
            found.update(node.outputs)
    return found


def _tuned(node: Node, behind: Container[Tensor]) -> tuple[int, ...]:
    """Return the inputs of a node that are weights."""
    if node.domain:
        return ()
    given = [place for place, tensor in enumerate(node.inputs) if _is_weight(tensor)]
    if node.op not in _SHIFTS:
        return tuple(place for place in _PLACES.get(node.op, ()) if place in given)
    shifted = any(tensor in behind for tensor in node.inputs)
    return tuple(place for place in given if shifted and _varies(node.inputs[place]))


def _is_weight(tensor: Tensor) -> bool:
    return tensor.is_constant and tensor.array.dtype == np.float32 and tensor.array.size > 1


def _varies(tensor: Tensor) -> bool:
    """Whether a constant is a vector along one axis, finite and of several values."""
    values = tensor.array
    along_one = values.size == max(values.shape)
    return along_one and bool(np.isfinite(values).all()) and len(np.unique(values)) > _FEW


def _alone(tensor: Tensor, places: dict[str, tuple[int, ...]]) -> bool:
    """Whether only nodes read it that it is a weight of."""
    return all(
        any(reader.inputs[place] == tensor for place in places.get(reader.name, ())) for reader in tensor.consumers
    )


def fitting_batch(graph: Graph, wanted: int) -> int:
    """Return how many samples a step takes: ``wanted``, or what the model fixes; fewer where memory is short.

    A step holds every tensor of the forward pass and about as much again. Raises BudgetError where one is too much.
    """
    size = batch_size(graph, wanted)
    while True:
        needed = _HELD * _entries(graph, concrete(graph, input_sizes(graph, size)))
        if needed <= limit() or size == 1 or batch_size(graph, size // 2) == size:
            afford(needed, "a step of tuning")
            return size
        size //= 2


def _entries(graph: Graph, shapes: Mapping[str, Shape]) -> int:
    """Count the entries of all tensors that are computed on the way to a loss."""
    if lowers(graph):
        graph, shapes = differentiable(graph, shapes)
    return sum(prod(shapes[t.name]) for node in graph.nodes for t in node.outputs if t.name in shapes)
