"""Elementwise operators: labels that meet are tied; length-1 axes tie nothing; constants are sliced along."""

from collections.abc import Sequence

import numpy as np

from .....ir.graph import Array, Node, Tensor
from ..labels import FLOATS, SEEN_THROUGH, Labels, Propagation


def elementwise(ctx: Propagation, node: Node) -> None:
    """Tie all operands of a broadcasting operator; every output gets the same labels."""
    operands = [tensor for tensor in node.inputs if tensor.name]
    atoms, shrink = merge(ctx, node, operands, ctx.shape(node.outputs[0]))
    if shrink is None:
        atoms, shrink = _outer(ctx, node, operands)
    for output in node.outputs:
        if output.name:
            ctx.set(output, atoms, shrink)


def _outer(ctx: Propagation, node: Node, operands: Sequence[Tensor]) -> tuple[Array, int | None]:
    """Where one stored tensor alone is long along the last axis, as in an outer product, it bears channels there."""
    out = node.outputs[0]
    rank = len(ctx.shape(out))
    long = [t for t in operands if rank and rank - 1 not in _shared_axes(ctx, t, rank)]
    if len(long) != 1 or not static(long[0]) or all(map(static, operands)) or long[0].dtype not in FLOATS:
        return np.zeros((1,) * rank, np.int64), None
    atoms = ctx.born(node, out, [rank - 1])
    return _slice(ctx, node, long[0], atoms, rank - 1), rank - 1


def unary(ctx: Propagation, node: Node) -> None:
    """Pass the labels of the first input to every output; further inputs are scalars."""
    labels = ctx.of(node.inputs[0])
    for tensor in node.outputs:
        if tensor.name:
            ctx.set(tensor, labels.atoms, labels.shrink)


def merge(ctx: Propagation, node: Node, operands: Sequence[Tensor], shape: tuple[int, ...]) -> tuple[Array, int | None]:
    """Tie operands that broadcast to ``shape``; return the common atoms and the shrinking axis."""
    rank = len(shape)
    live = [t for t in operands if not static(t)]
    labelled = [labels for labels in map(ctx.of, live) if labels.shrink is not None]
    if not labelled:
        return np.zeros((1,) * rank, np.int64), None
    simplest = min(labelled, key=lambda labels: len(labels.varying))
    full, shrink = aligned(simplest.atoms, rank), (simplest.shrink or 0) + rank - simplest.atoms.ndim
    for tensor in live:
        full = _tie(ctx, node, tensor, full, shrink)
    for tensor in operands:
        if static(tensor):
            full = _slice(ctx, node, tensor, full, shrink)
    return full, shrink


def aligned(values: Array, rank: int) -> Array:
    """Prepend length-1 axes, as numpy broadcasting does."""
    return values.reshape((1,) * (rank - values.ndim) + values.shape)


def static(tensor: Tensor) -> bool:
    """Whether a tensor is stored, or a stored one seen through a dequantisation, cast or transposition."""
    producer = tensor.producer
    if tensor.is_constant or producer is None:
        return tensor.is_constant
    return producer.qualified in SEEN_THROUGH and static(producer.inputs[0])


def _shared_axes(ctx: Propagation, tensor: Tensor, rank: int) -> list[int]:
    """Axes of the output along which one index of the operand serves all positions."""
    shape = ctx.shape(tensor)
    extent = (1,) * (rank - len(shape)) + shape
    return [axis for axis in range(rank) if extent[axis] == 1]


def _tie(ctx: Propagation, node: Node, tensor: Tensor, full: Array, shrink: int) -> Array:
    own = aligned(ctx.of(tensor).atoms, full.ndim)
    shared = _shared_axes(ctx, tensor, full.ndim)
    if shrink in shared:
        ctx.pin(own, node, "two independent channel axes meet in its output")
        return full
    full = ctx.alike(full, shared, node)
    why = f"it is combined with '{tensor.name}', whose channels cannot be removed"
    ctx.tie(full, own, node, why, "prune before this node")
    return full


def _slice(ctx: Propagation, node: Node, tensor: Tensor, full: Array, shrink: int) -> Array:
    shared = _shared_axes(ctx, tensor, full.ndim)
    if shrink in shared:
        return full
    full = ctx.alike(full, shared, node)
    skipped = full.ndim - len(ctx.shape(tensor))
    ctx.demand(tensor, [Labels(full.reshape(full.shape[skipped:]), shrink - skipped)], node)
    return full
