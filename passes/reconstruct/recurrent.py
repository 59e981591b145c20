"""Recurrent layers: the weight of what they read, solved again towards what their gates got from it in the original.

Only what enters from outside is solved: what a gate reads of the layer's own past depends on the solution.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ...ir.graph import Array, Graph, Node, Tensor
from ...ir.shapes import Shape
from ..analysis.channels.origins import Origin
from ..analysis.channels.rules.recurrent import BIAS, GATES, direction_axis
from ..analysis.layers.linear import Linear
from ..analysis.layers.writing import holds_floats

_WEIGHT = 1


@dataclass(frozen=True)
class Cell:
    """An LSTM, GRU or RNN: ``layer`` is its first weight, (directions, gates, channels), as one product."""

    layer: Linear
    steps_first: bool

    def rows(self, x: Array) -> Array:
        """Lay out inputs as (1, rows, d), sample by sample."""
        return self.layer.rows(x.swapaxes(0, 1) if self.steps_first else x)

    def samples(self, x: Array) -> int:
        """How many samples a batch has."""
        return int(x.shape[1 if self.steps_first else 0])


def cells(graph: Graph, shapes: Mapping[str, Shape]) -> dict[str, Cell]:
    """Find recurrent layers whose first weight, and bias, are stored and their own, by node name."""
    found = {}
    for node in graph.nodes:
        if node.op not in GATES or node.domain or len(shapes.get(node.inputs[0].name, ())) != 3:
            continue
        stored = [node.inputs[_WEIGHT], *node.inputs[BIAS : BIAS + 1]]
        if all(not t.name or (t.is_constant and len(t.consumers) == 1 and holds_floats(t)) for t in stored):
            directions, rows, width = node.inputs[_WEIGHT].array.shape
            ends = node.name, node.inputs[0].name, node.outputs[0].name, _WEIGHT
            layer = Linear(*ends, 1, width, directions * rows, transposed=True)
            found[node.name] = Cell(layer, not node.attribute("layout", graph.opset, 0))
    return found


def matrix(node: Node) -> Array:
    """Return the first weight as (d, m) in float64."""
    weight = node.inputs[_WEIGHT].array
    return np.asarray(weight.reshape(-1, weight.shape[2]).T, np.float64)


def gates(node: Node, origin: Origin | None, shape: Shape, opset: int) -> Array:
    """Return of the original's first weight, (d, m), what is left of its gates.

    ``origin``: which hidden units are left of the first output, of that ``shape``; None for all.
    """
    weight = node.inputs[_WEIGHT].array
    if origin is None:
        return matrix(node)
    form = (*shape[:-1], origin.count)
    across = np.moveaxis(np.broadcast_to(origin.places, form), direction_axis(node, opset, len(shape)), 0)
    units = across.reshape(len(weight), -1, origin.count)[:, 0]
    by_gate = weight.reshape(len(weight), GATES[node.op], -1, weight.shape[2])
    left = np.take_along_axis(by_gate, units[:, None, :, None], 2)
    return np.asarray(left.reshape(-1, weight.shape[2]).T, np.float64)


def write(graph: Graph, node: Node, solved: Array, bias: Array) -> None:
    """Store a weight (d, m), and add to the bias of the gates what it needs, (m,)."""
    weight = node.inputs[_WEIGHT]
    directions, rows, _ = weight.array.shape
    graph.set_array(weight, solved.T.reshape(weight.array.shape).astype(weight.array.dtype))
    inputs = [*node.inputs, *[Tensor.absent()] * (BIAS + 1 - len(node.inputs))]
    known = inputs[BIAS].array if inputs[BIAS].name else np.zeros((directions, 2 * rows), weight.array.dtype)
    shift = np.concatenate([bias.reshape(directions, rows), np.zeros((directions, rows))], 1)
    inputs[BIAS] = graph.constant(f"{node.name}_bias", (known + shift).astype(known.dtype))
    node.set_inputs(inputs)
