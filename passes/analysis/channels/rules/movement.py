"""Operators that move data in one tensor: executed literally on the label arrays."""

from collections.abc import Sequence
from math import prod

import numpy as np

from .....ir.arguments import permutation
from .....ir.graph import Array, Node, Tensor
from .....ir.shapes import Shape
from ..labels import FLOATS, Labels, Propagation
from ..numbers import tells
from ..surgery import OVERRIDES, Surgery
from .elementwise import static


def reshape(ctx: Propagation, node: Node) -> None:
    """Reshape and Flatten: factor both shapes into blocks of axes with equal products, move labels block by block."""
    x, out = node.inputs[0], node.outputs[0]
    labels = ctx.of(x)
    if labels.shrink is None:
        return
    old, new = ctx.shape(x), ctx.shape(out)
    mine, theirs = next(block for block in axis_blocks(old, new) if labels.shrink in block[0])
    if node.op == "Reshape" and len(node.inputs) > 1 and not _tells(ctx, node, theirs):
        ctx.pin(labels.atoms, node, "its target shape is computed at run time", "export with static channel sizes")
        return
    atoms = ctx.alike(labels.atoms, [axis for axis in mine if axis > labels.shrink], node)
    moved, shrink = reshaped(Labels(atoms, labels.shrink), old, new)
    ctx.set(out, moved, shrink)


def _tells(ctx: Propagation, node: Node, places: Sequence[int]) -> bool:
    """Whether a target shape is stored, or computed with fixed numbers where the channels lie."""
    return node.inputs[1].is_constant or (ctx.graph.opset >= OVERRIDES and tells(ctx, node.inputs[1], places))


def reshaped(labels: Labels, old: Shape, new: Shape) -> tuple[Array, int | None]:
    """Return the label array in the new shape (size 1 where a whole block is alike) and the axis that shrinks."""
    full, target, shrink = list(labels.atoms.shape), [1] * len(new), None
    for mine, theirs in axis_blocks(old, new):
        if not any(labels.atoms.shape[axis] > 1 for axis in mine):
            continue
        for axis in mine:
            full[axis] = old[axis]
        for axis in theirs:
            target[axis] = new[axis]
        if labels.shrink in mine:
            shrink = theirs
    moved = np.broadcast_to(labels.atoms, full).reshape(target)
    candidates = [axis for axis in shrink or [] if (moved != np.take(moved, [0], axis)).any()]
    return moved, candidates[-1] if candidates else None


def axis_blocks(old: Shape, new: Shape) -> list[tuple[list[int], list[int]]]:
    """Split two shapes of equal size into the smallest runs of axes with equal products."""
    blocks, i, j = [], 0, 0
    while i < len(old) or j < len(new):
        mine: list[int] = []
        theirs: list[int] = []
        left = right = 1
        while (i < len(old) or j < len(new)) and not (mine and theirs and left == right):
            if i < len(old) and (not mine or left < right or j == len(new)):
                left *= old[i]
                mine.append(i)
                i += 1
            else:
                right *= new[j]
                theirs.append(j)
                j += 1
        blocks.append((mine, theirs))
    return blocks


def transpose(ctx: Propagation, node: Node) -> None:
    """Permute axes."""
    labels = ctx.of(node.inputs[0])
    if labels.shrink is None:
        return
    perm = permutation(node, ctx.graph.opset, labels.atoms.ndim)
    ctx.set(node.outputs[0], labels.atoms.transpose(perm), perm.index(labels.shrink))


def squeeze(ctx: Propagation, node: Node) -> None:
    """Squeeze and Unsqueeze: lengths above 1 keep their order."""
    labels = ctx.of(node.inputs[0])
    if labels.shrink is None:
        return
    old, new = ctx.shape(node.inputs[0]), ctx.shape(node.outputs[0])
    target, shrink = unsqueezed(labels, old, new)
    ctx.set(node.outputs[0], labels.atoms.reshape(target), shrink)


def unsqueezed(labels: Labels, old: Shape, new: Shape) -> tuple[list[int], int]:
    """Match axes longer than 1 in order."""
    long_old = [axis for axis, size in enumerate(old) if size > 1]
    long_new = [axis for axis, size in enumerate(new) if size > 1]
    match = dict(zip(long_old, long_new, strict=True))
    target = [1] * len(new)
    for axis, place in match.items():
        target[place] = labels.atoms.shape[axis]
    return target, match[labels.shrink or 0]


def depth_to_space(ctx: Propagation, node: Node) -> None:
    """Every output channel collects block² input channels, in DCR or CRD order: they go together."""
    labels = ctx.of(node.inputs[0])
    atoms = ctx.alike(labels.atoms, [0, 2, 3], node)
    if atoms.shape[1] == 1:
        return
    block = int(node.attribute("blocksize", ctx.graph.opset))
    mode = str(node.attribute("mode", ctx.graph.opset, "DCR"))
    table = atoms.reshape((block * block, -1) if mode == "DCR" else (-1, block * block))
    outgoing = ctx.alike(table, [0 if mode == "DCR" else 1], node)
    ctx.set(node.outputs[0], outgoing.reshape(1, -1, 1, 1), 1)


def space_to_depth(ctx: Propagation, node: Node) -> None:
    """Every input channel appears block² times in the output."""
    labels = ctx.of(node.inputs[0])
    atoms = ctx.alike(labels.atoms, [0, 2, 3], node)
    block = int(node.attribute("blocksize", ctx.graph.opset))
    if atoms.shape[1] > 1:
        ctx.set(node.outputs[0], np.tile(atoms.ravel(), block * block).reshape(1, -1, 1, 1), 1)


def expand(ctx: Propagation, node: Node) -> None:
    """Expand and Tile: repeated indices are alike; a tiled channel axis repeats its labels."""
    x, out = node.inputs[0], node.outputs[0]
    labels = ctx.of(x)
    old, new = ctx.shape(x), ctx.shape(out)
    skipped = len(new) - len(old)
    if labels.shrink is None and static(x):
        _bear_stored(ctx, node, x, skipped)
        return
    if labels.shrink is None:
        _bear_repeats(ctx, node, (1,) * skipped + old, new)
        return
    if not _repeats_whole(ctx, node, labels.shrink + skipped):
        ctx.pin(labels.atoms, node, "its target shape is computed at run time", "export with static channel sizes")
        return
    atoms = labels.atoms.reshape((1,) * skipped + labels.atoms.shape)
    repeats = [new[skipped + axis] // old[axis] if atoms.shape[skipped + axis] > 1 else 1 for axis in range(len(old))]
    ctx.set(out, np.tile(atoms, [1] * skipped + repeats), labels.shrink + skipped)


def _repeats_whole(ctx: Propagation, node: Node, axis: int) -> bool:
    """Whether a target is stored, or an Expand's that is computed has a fixed number where the channels lie."""
    place = axis - len(ctx.shape(node.outputs[0])) + prod(ctx.shape(node.inputs[1]))
    return node.inputs[1].is_constant or (node.op == "Expand" and _tells(ctx, node, [place] if place >= 0 else []))


def _bear_stored(ctx: Propagation, node: Node, stored: Tensor, skipped: int) -> None:
    """A stored tensor that is repeated for every sample, such as a class token, bears channels along its last axis."""
    extent, out = ctx.shape(stored), node.outputs[0]
    axis = len(extent) - 1
    whole = extent and extent[axis] > 1 and ctx.shape(out)[axis + skipped] == extent[axis]
    if whole and stored.dtype in FLOATS and _repeats_whole(ctx, node, axis + skipped):
        atoms = ctx.born(node, out, [axis + skipped])
        ctx.demand(stored, [Labels(atoms.reshape((1,) * axis + (-1,)), axis)], node)
        ctx.set(out, atoms, axis + skipped)


def _bear_repeats(ctx: Propagation, node: Node, old: Shape, new: Shape) -> None:
    """Copies along one expanded channel axis are free to go: only a number in the shape says how many there are."""
    grown = [axis for axis in range(1, len(new)) if old[axis] == 1 and new[axis] > 1]
    if len(grown) == 1 and node.op == "Expand" and node.inputs[1].is_constant:
        ctx.set(node.outputs[0], ctx.born(node, node.outputs[0], grown), grown[0])


def resize(ctx: Propagation, node: Node) -> None:
    """Resize and Upsample over spatial axes; the channel axis must keep its length."""
    x, out = node.inputs[0], node.outputs[0]
    labels = ctx.of(x)
    if labels.shrink is None:
        return
    if any(tensor.name and not _sized(ctx, node, tensor, labels.shrink) for tensor in node.inputs[3:]):
        ctx.pin(labels.atoms, node, "its sizes are computed at run time", "export with scales, or with static sizes")
        return
    old, new = ctx.shape(x), ctx.shape(out)
    changed = [axis for axis in range(len(old)) if old[axis] != new[axis]]
    atoms = ctx.alike(labels.atoms, changed, node)
    ctx.set(out, atoms, labels.shrink)


def _sized(ctx: Propagation, node: Node, sizes: Tensor, channels: int) -> bool:
    return sizes.is_constant or tells(ctx, sizes, _listed(ctx, node, [channels]))


def _listed(ctx: Propagation, node: Node, axes: Sequence[int]) -> list[int]:
    """Return where a Resize lists some axes in its sizes."""
    rank = len(ctx.shape(node.inputs[0]))
    named = [int(axis) % rank for axis in node.attribute("axes", ctx.graph.opset) or range(rank)]
    return [named.index(axis) for axis in axes if axis in named]


def resize_shape(node: Node, surgery: Surgery) -> None:
    """Write new lengths into the shape of Reshape and Expand; 0, -1 and 1 keep their meaning."""
    if len(node.inputs) > 1:
        old, new = surgery.shapes(node.outputs[0])
        skipped = len(new) - prod(surgery.ctx.shape(node.inputs[1]))
        pairs = list(zip(old, new, strict=True))[max(skipped, 0) :]
        surgery.set_entries(node, 1, "shape", dict(enumerate(pairs)))


def resize_sizes(node: Node, surgery: Surgery) -> None:
    """Write the new channel count into the ``sizes`` input of Resize."""
    old, new = surgery.shapes(node.outputs[0])
    if len(node.inputs) > 3 and node.inputs[3].name:
        pairs = enumerate(zip(old, new, strict=True))
        sizes = {place: pair for axis, pair in pairs for place in _listed(surgery.ctx, node, [axis])}
        surgery.set_entries(node, 3, "sizes", sizes)
