"""LSTM, GRU and RNN: input features end in the first weight, hidden units are born on the output.

A hidden unit h_j is read by the recurrence through column j of its weight, and else acts on itself alone: one that
always reads as zero is one whose column is zero. Its rows of every gate, peepholes and initial states go with it. Both
directions keep equally many units.
"""

import numpy as np

from .....ir.graph import Array, Node, Tensor
from ..labels import Labels, Propagation
from ..surgery import Surgery
from .elementwise import static

GATES = {"GRU": 3, "LSTM": 4, "RNN": 1}
RECURRENCE = 2
BIAS, _STATES, _PEEPHOLES = 3, (5, 6), 7


def recurrent(ctx: Propagation, node: Node) -> None:
    """Slice what is stored; tie initial states that are computed."""
    layers = _features(ctx, node)
    hidden = _hidden(ctx, node)
    if hidden is None:
        ctx.demand(node.inputs[1], layers, node)
        return
    ctx.demand(node.inputs[1], [*layers, _rows(hidden, GATES[node.op], 3)], node)
    columns = Labels(hidden[:, None, :], 2)
    ctx.demand(node.inputs[RECURRENCE], [_rows(hidden, GATES[node.op], 3), columns], node)
    ctx.contract(node, RECURRENCE, columns)
    for place, times in ((BIAS, 2 * GATES[node.op]), (_PEEPHOLES, 3)):
        if _given(node, place):
            ctx.demand(node.inputs[place], [_rows(hidden, times, 2)], node)
    for place in _STATES:
        if _given(node, place):
            _state(ctx, node, node.inputs[place], hidden)


def _given(node: Node, place: int) -> bool:
    return len(node.inputs) > place and bool(node.inputs[place].name)


def _rows(hidden: Array, times: int, rank: int) -> Labels:
    """Repeat the units of each direction for every gate, along axis 1."""
    atoms = np.tile(hidden, times)
    return Labels(atoms.reshape(atoms.shape + (1,) * (rank - 2)), 1)


def _features(ctx: Propagation, node: Node) -> list[Labels]:
    labels = ctx.of(node.inputs[0])
    atoms = ctx.alike(labels.atoms, [0, 1], node)
    if labels.shrink is None:
        return []
    ctx.contract(node, 0, Labels(atoms, 2))
    return [Labels(atoms.reshape(1, 1, -1), 2)]


def _hidden(ctx: Propagation, node: Node) -> Array | None:
    """Bear the units of every direction, (directions, hidden), on all outputs; None where a weight is computed."""
    stored = [tensor for place, tensor in enumerate(node.inputs) if tensor.name and place in (1, 2, BIAS, _PEEPHOLES)]
    outputs = [tensor for tensor in node.outputs if tensor.name]
    if not all(map(static, stored)) or not outputs:
        return None
    axes = {tensor.name: direction_axis(node, ctx.graph.opset, len(ctx.shape(tensor))) for tensor in outputs}
    first = outputs[0]
    rank = len(ctx.shape(first))
    hidden = ctx.born(node, first, [axes[first.name], rank - 1])
    directions, size = (ctx.shape(first)[axis] for axis in (axes[first.name], rank - 1))
    for tensor in outputs:
        form = [1] * len(ctx.shape(tensor))
        form[axes[tensor.name]], form[-1] = directions, size
        ctx.set(tensor, hidden.reshape(form), len(form) - 1)
    return hidden.reshape(directions, size)


def direction_axis(node: Node, opset: int, rank: int) -> int:
    """Y is (steps, directions, batch, hidden), or with layout 1 (batch, steps, directions, hidden); states alike."""
    turned = int(node.attribute("layout", opset, 0) != 0)
    return turned + (rank == 4)


def _state(ctx: Propagation, node: Node, state: Tensor, hidden: Array) -> None:
    form = [1] * 3
    form[direction_axis(node, ctx.graph.opset, len(ctx.shape(state)))], form[2] = hidden.shape
    if static(state):
        ctx.demand(state, [Labels(hidden.reshape(form), 2)], node)
    else:
        why = f"its initial state '{state.name}' cannot lose any"
        ctx.tie(hidden.reshape(form), ctx.of(state).atoms, node, why, "leave out states that are zero")


def resize_hidden(node: Node, surgery: Surgery) -> None:
    """Write the new number of hidden units."""
    first = next(tensor for tensor in node.outputs if tensor.name)
    old, new = surgery.shapes(first)
    if old != new:
        node.set_attribute("hidden_size", new[-1])
