"""The oracle's other half: the original graph with removed channels multiplied by zero where they end."""

from collections.abc import Container, Mapping

import numpy as np

from ....ir.graph import Array, Graph, Node, Tensor
from ....ir.shapes import symbolic
from .groups import Channels
from .removal import keep_mask


def masked(graph: Graph, channels: Channels, kept: Mapping[str, Array], *, at: Container[str] | None = None) -> Graph:
    """Return a copy of ``graph`` in which every contraction reads zeros in place of the channels that do not stay.

    ``at`` names the only nodes to treat so.
    """
    keep = keep_mask(channels, kept)
    copy = graph.copy()
    nodes = {node.name: node for node in copy.nodes}
    shapes = symbolic(graph)
    for end in channels.context.contractions:
        mask = keep[end.labels.atoms]
        if mask.all() or (at is not None and end.node not in at):
            continue
        node = nodes[end.node]
        source = node.inputs[end.operand]
        dims = shapes.get(source.name) or (None,) * mask.ndim
        scaling = [axis for axis in range(mask.ndim) if mask.shape[axis] > 1 and not isinstance(dims[axis], int)]
        values = mask.astype(np.dtype(source.dtype or np.float32))
        product = copy.variable(f"{node.name}_masked", source.dtype)
        copy.insert("Mul", [source, _fitted(copy, node, source, values, scaling)], [product], before=node)
        node.set_input(end.operand, product)
    return copy


def _fitted(graph: Graph, node: Node, source: Tensor, values: Array, scaling: list[int]) -> Tensor:
    """Store a mask; along axes that mix channels with the batch, repeat it as often as a run's batch asks."""
    for axis in scaling:
        values = np.take(values, np.arange(_period(values, axis)), axis)
    fitted = graph.constant(f"{node.name}_mask", values)
    for axis in scaling:
        length = _made(graph, node, "Shape", [source])
        length = _made(graph, node, "Gather", [length, graph.constant("axis", np.array([axis]))])
        times = _made(graph, node, "Div", [length, graph.constant("period", np.array([values.shape[axis]]))])
        before, after = (graph.constant("once", np.ones(count, np.int64)) for count in (axis, values.ndim - axis - 1))
        times = _made(graph, node, "Concat", [before, times, after], axis=0)
        fitted = _made(graph, node, "Tile", [fitted, times])
    return fitted


def _made(graph: Graph, before: Node, op: str, inputs: list[Tensor], **attributes: int) -> Tensor:
    out = graph.variable(f"{before.name}_{op}")
    graph.insert(op, inputs, [out], attributes, before=before)
    return out


def _period(values: Array, axis: int) -> int:
    """Return the least length that the mask repeats with along one axis."""
    size = values.shape[axis]
    return min(p for p in range(1, size + 1) if size % p == 0 and np.array_equal(np.roll(values, p, axis), values))
