"""Concat and Split: literal on the label arrays, with their lists of numbers rewritten."""

import numpy as np

from .....ir.arguments import axis as axis_of
from .....ir.graph import Array, Node
from ..atoms import collapses
from ..labels import Labels, Propagation
from ..surgery import Surgery
from .elementwise import static


def concat(ctx: Propagation, node: Node) -> None:
    """Labels are put end to end; across the other axes the parts are tied."""
    out = node.outputs[0]
    rank = len(ctx.shape(out))
    axis = axis_of(node, ctx.graph.opset, rank)
    parts = [ctx.of(tensor) for tensor in node.inputs]
    others = [part for part in parts if part.shrink not in (None, axis)]
    if others:
        _concat_across(ctx, node, axis, others[0])
        return
    if all(part.shrink is None for part in parts):
        return
    lengths = [ctx.shape(tensor)[axis] for tensor in node.inputs]
    pieces = [_lengthened(part.atoms, axis, length) for part, length in zip(parts, lengths, strict=True)]
    form = np.broadcast_shapes(*[np.take(piece, [0], axis).shape for piece in pieces])
    full = [np.broadcast_to(piece, [piece.shape[a] if a == axis else form[a] for a in range(rank)]) for piece in pieces]
    ctx.set(out, np.concatenate(full, axis), axis)


def _lengthened(atoms: Array, axis: int, length: int) -> Array:
    form = [length if a == axis else size for a, size in enumerate(atoms.shape)]
    return np.broadcast_to(atoms, form)


def _concat_across(ctx: Propagation, node: Node, axis: int, model: Labels) -> None:
    """Concatenation along an axis the channels do not lie on: every part loses the same channels."""
    full = ctx.alike(model.atoms, [axis], node)
    why = "it is concatenated with a tensor whose channels cannot be removed"
    for tensor in node.inputs:
        if static(tensor):
            ctx.demand(tensor, [Labels(full, model.shrink)], node)
        else:
            own = ctx.alike(ctx.of(tensor).atoms, [axis], node)
            ctx.tie(full, own, node, why, "prune before this node")
    ctx.set(node.outputs[0], full, model.shrink)


def split(ctx: Propagation, node: Node) -> None:
    """Each output takes its run of labels."""
    labels = ctx.of(node.inputs[0])
    if labels.shrink is None:
        return
    axis = axis_of(node, ctx.graph.opset, labels.atoms.ndim)
    ends = np.cumsum([ctx.shape(tensor)[axis] for tensor in node.outputs])
    pieces = _cut(labels.atoms, axis, ends)
    if axis == labels.shrink and any(collapses(piece, axis) for piece in pieces):
        pieces = _cut(ctx.alike(labels.atoms, [axis], node), axis, ends)
    for tensor, piece in zip(node.outputs, pieces, strict=True):
        ctx.set(tensor, piece, labels.shrink)


def _cut(atoms: Array, axis: int, ends: Array) -> list[Array]:
    return np.split(atoms, ends[:-1], axis) if atoms.shape[axis] > 1 else [atoms] * len(ends)


def split_sizes(node: Node, surgery: Surgery) -> None:
    """Write explicit sizes: parts may have become unequal."""
    axis = axis_of(node, surgery.graph.opset, len(surgery.ctx.shape(node.inputs[0])))
    shapes = [surgery.shapes(tensor) for tensor in node.outputs]
    if all(old[axis] == new[axis] for old, new in shapes):
        return
    sizes = [new[axis] for _, new in shapes]
    if surgery.graph.opset >= 13:
        node.set_attribute("num_outputs", None)
        table = surgery.graph.constant(f"{node.name}_split", np.asarray(sizes, np.int64))
        node.set_inputs([node.inputs[0], table])
    else:
        node.set_attribute("split", sizes)
