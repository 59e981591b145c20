"""Normalisations, softmax, reductions and pools: per-index parameters are sliced; many keep whole what they span."""

from .....ir.arguments import axis as axis_of
from .....ir.arguments import reduced_axes, softmax_axes
from .....ir.graph import Array, Node
from ..labels import FLOATS, Labels, Propagation
from .over_channels import SUMS, norm, through
from .sampling import remembers

_WHOLE = "it normalises over these channels, so removing some changes the others"
_HINT = "channels inside the block, before and after it, are still free"


def per_channel(ctx: Propagation, node: Node) -> None:
    """BatchNormalization and InstanceNormalization: parameters lie along axis 1, other axes are alike."""
    labels = ctx.of(node.inputs[0])
    if labels.shrink is None:
        return
    atoms = _along(ctx, node, labels.atoms, 1)
    for tensor in node.inputs[1:]:
        if tensor.name:
            ctx.demand(tensor, [Labels(atoms.ravel(), 0)], node)
    ctx.set(node.outputs[0], atoms, 1)


def _along(ctx: Propagation, node: Node, atoms: Array, axis: int) -> Array:
    return ctx.alike(atoms, [a for a in range(atoms.ndim) if a != axis], node)


def over_trailing(ctx: Propagation, node: Node) -> None:
    """Softmax and its like, CumSum: an axis is kept whole. Norms of layers go on with what is left of theirs."""
    labels = ctx.of(node.inputs[0])
    if labels.shrink is None:
        return
    if node.op == "CumSum" and not node.inputs[1].is_constant:
        ctx.pin(labels.atoms, node, "its axis is computed at run time", "export with a static axis")
        return
    rank = labels.atoms.ndim
    if node.op in ("Softmax", "LogSoftmax", "Hardmax"):
        _keep_whole(ctx, node, labels, softmax_axes(node, ctx.graph.opset, rank))
        return
    axis = _axis(ctx, node) % rank
    if node.op in ("LayerNormalization", "RMSNormalization"):
        if labels.shrink < axis or not norm(ctx, node, labels):
            _keep_whole(ctx, node, labels, list(range(axis, rank)))
    elif node.op == "LpNormalization" and labels.shrink == axis:
        others = [place for place in range(rank) if place != axis]
        through(ctx, node, Labels(ctx.alike(labels.atoms, others, node), axis))
    else:
        _keep_whole(ctx, node, labels, [axis])


def _axis(ctx: Propagation, node: Node) -> int:
    if node.op == "CumSum":
        return int(node.inputs[1].array.ravel()[0])
    return int(node.attribute("axis", ctx.graph.opset, -1))


def _keep_whole(ctx: Propagation, node: Node, labels: Labels, axes: list[int]) -> None:
    if labels.shrink in axes:
        ctx.pin(labels.atoms, node, _WHOLE, _HINT)
        return
    ctx.set(node.outputs[0], ctx.alike(labels.atoms, axes, node), labels.shrink)


def over_groups(ctx: Propagation, node: Node) -> None:
    """GroupNormalization and LRN look across channels, the first at all pixels too: these axes are kept whole."""
    labels = ctx.of(node.inputs[0])
    rank = labels.atoms.ndim
    _keep_whole(ctx, node, labels, list(range(1, rank)) if node.op == "GroupNormalization" else [1])


def reduction(ctx: Propagation, node: Node) -> None:
    """Reductions and ArgMax: a sum or mean over channels ends their atoms, a maximum keeps them whole."""
    labels = ctx.of(node.inputs[0])
    if labels.shrink is None:
        return
    rank = labels.atoms.ndim
    axes = reduced_axes(node, ctx.graph.opset, rank)
    if axes is None:
        ctx.pin(labels.atoms, node, "its axes are computed at run time", "export with static axes")
        return
    if labels.shrink in axes:
        if node.op in SUMS and node.inputs[0].dtype in FLOATS:
            ctx.contract(node, 0, labels, statistic=node.op != "ReduceSum")
        else:
            ctx.pin(labels.atoms, node, "it reduces over these channels, so removing some changes the result", _HINT)
        return
    atoms = ctx.alike(labels.atoms, axes, node)
    keep = bool(node.attribute("keepdims", ctx.graph.opset, 1))
    dropped = sum(axis < labels.shrink for axis in axes) if not keep else 0
    shape = [size for axis, size in enumerate(atoms.shape) if keep or axis not in axes]
    ctx.set(node.outputs[0], atoms.reshape(shape), labels.shrink - dropped)


def pooling(ctx: Propagation, node: Node) -> None:
    """Pools, local and global: every channel on its own, spatial positions are alike."""
    labels = ctx.of(node.inputs[0])
    if labels.shrink is None:
        return
    if len(node.outputs) > 1 and node.outputs[1].name:
        remembers(ctx, node, labels)
        return
    atoms = _along(ctx, node, labels.atoms, 1)
    for tensor in node.outputs:
        if tensor.name:
            ctx.set(tensor, atoms, 1)


def quantise_dynamically(ctx: Propagation, node: Node) -> None:
    """DynamicQuantizeLinear: a range that always holds zero does not change when channels of zeros go."""
    labels = ctx.of(node.inputs[0])
    if labels.shrink is not None:
        ctx.contract(node, 0, labels, statistic=True)
        ctx.set(node.outputs[0], labels.atoms, labels.shrink)


def quantise(ctx: Propagation, node: Node) -> None:
    """QuantizeLinear and DequantizeLinear: scales and zero points of one axis are sliced with it."""
    labels = ctx.of(node.inputs[0])
    if labels.shrink is None:
        return
    scale = node.inputs[1]
    if len(ctx.shape(scale)) == 1 and ctx.shape(scale)[0] > 1:
        axis = axis_of(node, ctx.graph.opset, labels.atoms.ndim)
        atoms = _along(ctx, node, labels.atoms, axis)
        for tensor in node.inputs[1:]:
            ctx.demand(tensor, [Labels(atoms.ravel(), 0)], node)
        ctx.set(node.outputs[0], atoms, axis)
        return
    if ctx.shape(scale) and ctx.shape(scale) != (1,):
        ctx.pin(labels.atoms, node, "its scales are blocked along several axes")
        return
    ctx.set(node.outputs[0], labels.atoms, labels.shrink)
