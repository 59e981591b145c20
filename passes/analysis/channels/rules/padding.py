"""Pad: on the channel axis it bears channels of a constant value."""

import numpy as np

from .....ir.arguments import padding
from .....ir.graph import Node
from ..labels import Propagation
from ..numbers import counts, entries
from ..surgery import Surgery


def pad(ctx: Propagation, node: Node) -> None:
    """Padding the channel axis bears channels of a constant value; other axes are alike along themselves."""
    x, out = node.inputs[0], node.outputs[0]
    labels = ctx.of(x)
    rank = len(ctx.shape(x))
    if labels.shrink is None:
        return
    added = padding(node, ctx.graph.opset, rank)
    axis = labels.shrink
    if added is None and unpadded(ctx, node, rank, axis):
        ctx.set(out, ctx.alike(labels.atoms, [other for other in range(rank) if other != axis], node), axis)
        return
    if added is None:
        ctx.pin(labels.atoms, node, "its padding is computed at run time", "export with static padding")
        return
    others = [other for other in range(rank) if other != axis and (axis in added.axes or other in added.axes)]
    atoms = ctx.alike(labels.atoms, others, node)
    if axis in added.axes and atoms.shape[axis] > 1:
        before, after = added.widths[axis]
        if added.mode != "constant" or min(before, after) < 0:
            ctx.pin(atoms, node, "it mirrors or crops the channel axis")
            return
        born = ctx.born(node, out, [axis])
        first, _, last = np.split(born, [before, before + atoms.shape[axis]], axis)
        atoms = np.concatenate([first, atoms, last], axis)
    ctx.set(out, atoms, axis)


def unpadded(ctx: Propagation, node: Node, rank: int, axis: int) -> bool:
    """Whether computed amounts are 0 before and after one axis, and depend on no channels."""
    given = list(node.inputs[3:])
    if any(tensor.name and not tensor.is_constant for tensor in given):
        return False
    values = entries(ctx, node.inputs[1]) if len(node.inputs) > 1 else None
    named = [int(place) % rank for place in given[0].array] if given and given[0].name else list(range(rank))
    if values is None or values.size != 2 * len(named) or counts(values):
        return False
    mine = [values.ravel()[place] for place in range(values.size) if named[place % len(named)] == axis]
    return all(isinstance(entry, int) and entry == 0 for entry in mine)


def pad_amounts(node: Node, surgery: Surgery) -> None:
    """Fewer constant channels are added where some of them were removed."""
    out = node.outputs[0]
    labels = surgery.ctx.labels.get(out.name)
    old, new = surgery.shapes(out)
    if labels is None or labels.shrink is None or old == new:
        return
    rank, axis = len(old), labels.shrink
    added = padding(node, surgery.graph.opset, rank)
    if added is None or axis not in added.axes:
        return
    kept = surgery.positions(out, axis)
    before, after = added.widths[axis]
    added.widths[axis] = int((kept < before).sum()), int((kept >= old[axis] - after).sum())
    if len(node.inputs) > 3 and node.inputs[3].name:
        node.set_inputs(node.inputs[:3])
    surgery.set_ints(node, 1, "pads", [*(before for before, _ in added.widths), *(after for _, after in added.widths)])
