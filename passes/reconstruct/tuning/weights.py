"""Which constants of a graph are tuned."""

from __future__ import annotations

import numpy as np

from ....ir.graph import Graph, Node, Tensor

_PLACES = {
    "BatchNormalization": (1, 2),
    "Conv": (1, 2),
    "ConvTranspose": (1, 2),
    "Gemm": (1, 2),
    "GroupNormalization": (1, 2),
    "InstanceNormalization": (1, 2),
    "LayerNormalization": (1, 2),
    "PRelu": (1,),
    **dict.fromkeys(("Add", "Div", "MatMul", "Mul", "Sub"), (0, 1)),
}


def tunable(graph: Graph) -> list[Tensor]:
    """Return the float32 weights, scales and biases, each once, in order of first use; single numbers are none."""
    return list(dict.fromkeys(tensor for node in graph.nodes for tensor in _of(node)))


def _of(node: Node) -> list[Tensor]:
    places = () if node.domain else _PLACES.get(node.op, ())
    given = [node.inputs[place] for place in places if place < len(node.inputs)]
    return [t for t in given if t.is_constant and t.array.dtype == np.float32 and t.array.size > 1 and _alone(t)]


def _alone(tensor: Tensor) -> bool:
    """Whether only nodes that are tuned read it, at places where it is a weight."""
    return all(
        any(reader.inputs[place] == tensor for place in _PLACES.get(reader.op, ()) if place < len(reader.inputs))
        for reader in tensor.consumers
    )
