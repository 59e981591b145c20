"""Pad: on the channel axis it bears channels of a constant value."""

import numpy as np

from .....ir.graph import Node
from ..labels import Propagation
from ..surgery import Surgery


def pad(ctx: Propagation, node: Node) -> None:
    """Padding the channel axis bears channels of a constant value; other axes are alike along themselves."""
    x, out = node.inputs[0], node.outputs[0]
    labels = ctx.of(x)
    rank = len(ctx.shape(x))
    amounts = pads(node, ctx.graph.opset, rank)
    if labels.shrink is None:
        return
    if amounts is None:
        ctx.pin(labels.atoms, node, "its padding is computed at run time", "export with static padding")
        return
    padded = [axis for axis in range(rank) if amounts[axis] or amounts[axis + rank]]
    axis = labels.shrink
    others = [other for other in range(rank) if other != axis and (axis in padded or other in padded)]
    atoms = ctx.alike(labels.atoms, others, node)
    if axis in padded and atoms.shape[axis] > 1:
        before, after = amounts[axis], amounts[axis + rank]
        if str(node.attribute("mode", ctx.graph.opset, "constant")) != "constant" or min(before, after) < 0:
            ctx.pin(atoms, node, "it mirrors or crops the channel axis")
            return
        born = ctx.born(node, out, [axis])
        first, _, last = np.split(born, [before, before + atoms.shape[axis]], axis)
        atoms = np.concatenate([first, atoms, last], axis)
    ctx.set(out, atoms, axis)


def pads(node: Node, opset: int, rank: int) -> list[int] | None:
    """Return begin and end amounts of every axis, None when they are not stored."""
    if opset < 11:
        return [int(v) for v in node.attribute("pads", opset)]
    if not node.inputs[1].is_constant:
        return None
    values = [int(v) for v in node.inputs[1].array.ravel()]
    if len(node.inputs) < 4 or not node.inputs[3].name:
        return values
    if not node.inputs[3].is_constant:
        return None
    full = [0] * (2 * rank)
    axes = [int(a) % rank for a in node.inputs[3].array.ravel()]
    for place, axis in enumerate(axes):
        full[axis], full[axis + rank] = values[place], values[place + len(axes)]
    return full


def pad_amounts(node: Node, surgery: Surgery) -> None:
    """Fewer constant channels are added where some of them were removed."""
    out = node.outputs[0]
    labels = surgery.ctx.labels.get(out.name)
    old, new = surgery.shapes(out)
    if labels is None or labels.shrink is None or old == new:
        return
    rank, axis = len(old), labels.shrink
    amounts = pads(node, surgery.graph.opset, rank) or []
    if not amounts[axis] and not amounts[axis + rank]:
        return
    kept = surgery.positions(out, axis)
    amounts[axis + rank] = int((kept >= old[axis] - amounts[axis + rank]).sum())
    amounts[axis] = int((kept < amounts[axis]).sum())
    if len(node.inputs) > 3 and node.inputs[3].name:
        node.set_inputs(node.inputs[:3])
    surgery.set_ints(node, 1, "pads", amounts)
