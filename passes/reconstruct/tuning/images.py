"""Which inputs are images, and along which axes their rows and columns lie."""

from __future__ import annotations

from ....ir.arguments import permutation
from ....ir.graph import Graph, Tensor
from ...analysis.channels.rules.table import ELEMENTWISE, POOLS, UNARY

_WINDOWS = frozenset({"Conv", *POOLS})
_KEEPING = frozenset({*ELEMENTWISE, *UNARY, "BatchNormalization", "Pad"})
_RANK = 4


def planes(graph: Graph) -> dict[str, tuple[int, int]]:
    """Return the axes of rows and columns of every input that a convolution or pool of two axes reads, by its name."""
    found = {}
    for tensor in graph.inputs:
        place = _followed(graph, tensor) if tensor.shape is not None and len(tensor.shape) == _RANK else None
        if place is not None:
            found[tensor.name] = place
    return found


def _followed(graph: Graph, tensor: Tensor) -> tuple[int, int] | None:
    """Follow an input to the first window that walks over it."""
    stack, seen = [(tensor, tuple(range(_RANK)))], set[Tensor]()
    while stack:
        at, axes = stack.pop()
        seen.add(at)
        for node in at.consumers:
            if node.op in _WINDOWS and node.inputs[0] == at:
                return axes[2], axes[3]
            moved = axes
            if node.op == "Transpose":
                moved = tuple(axes[place] for place in permutation(node, graph.opset, _RANK))
            elif node.op not in _KEEPING:
                continue
            stack += [(out, moved) for out in node.outputs if out not in seen]
    return None
