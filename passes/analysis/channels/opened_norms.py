"""Norms that removal has written with their own statistics: see :mod:`.rules.over_channels` for the formula."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ....ir.graph import Array, Graph, Node, Tensor


@dataclass(frozen=True)
class OpenedNorm:
    """A LayerNormalization of the channels that stay, and what stands behind it up to the ``last`` node.

    ``moved`` is u, the mean over the deviation, one entry a position; ``share`` is r. ``shift`` is 0 where none is
    added in the end.
    """

    node: Node
    moved: Tensor
    share: float
    shift: Array
    last: Node


def opened_norms(graph: Graph) -> Iterator[OpenedNorm]:
    """Yield them in the order of the nodes."""
    for node in graph.nodes:
        if node.op == "LayerNormalization" and len(node.outputs) == 3 and all(t.name for t in node.outputs):
            found = _opened(graph, node)
            if found is not None:
                yield found


def _opened(graph: Graph, node: Node) -> OpenedNorm | None:
    plain, mean, inverse = node.outputs
    moving, adding = _only_reader(graph, mean, "Mul"), _only_reader(graph, plain, "Add")
    if moving is None or moving != _only_reader(graph, inverse, "Mul") or adding is None:
        return None
    moved = moving.outputs[0]
    gone = [t.array for reader in moved.consumers for t in reader.inputs if t.is_constant and t.array.ndim == 0]
    last = _only_reader(graph, adding.outputs[0], "Mul")
    if last is None or len(gone) != 1 or not 0 < gone[0] < 1:
        return None
    shifting = _only_reader(graph, last.outputs[0], "Add")
    scale = node.inputs[1]
    for tensor in shifting.inputs if shifting is not None else ():
        if tensor.is_constant and tensor.array.shape == scale.array.shape and shifting is not None:
            return OpenedNorm(node, moved, 1 - float(gone[0]), tensor.array, shifting)
    return OpenedNorm(node, moved, 1 - float(gone[0]), np.zeros_like(scale.array), last)


def _only_reader(graph: Graph, tensor: Tensor, op: str) -> Node | None:
    readers = tensor.consumers
    alone = len(readers) == 1 and readers[0].op == op and not graph.is_output(tensor)
    return readers[0] if alone and readers[0] in graph.nodes else None


def replace_opened(graph: Graph, norm: OpenedNorm, scale: float, shift: float) -> None:
    """Let the LayerNormalization alone do it, its result times ``scale`` plus ``shift`` before its own factors."""
    node, result = norm.node, norm.last.outputs[0]
    factors = node.inputs[1].array
    wide = factors.astype(np.float64)
    values = (scale * wide, shift * wide + norm.shift)
    vectors = [
        graph.constant(f"{node.name}_{name}", v.astype(factors.dtype)) for name, v in zip("gb", values, strict=True)
    ]
    graph.remove(norm.last)
    node.set_inputs([node.inputs[0], *vectors])
    node.set_outputs([result])
