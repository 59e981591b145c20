"""Operators that work channel by channel on planes: samplers of regions, and pools that remember places."""

from .....ir.graph import Node
from ..labels import Labels, Propagation

_PLACES = "places that a pool remembers count over all channels"


def per_plane(ctx: Propagation, node: Node) -> None:
    """GridSample and RoiAlign: channels on axis 1 of input and output; grid and regions serve all of them."""
    labels = ctx.of(node.inputs[0])
    if labels.shrink is not None:
        rank = labels.atoms.ndim
        atoms = ctx.alike(labels.atoms, [axis for axis in range(rank) if axis != 1], node)
        ctx.set(node.outputs[0], atoms, 1)


def mean_variance(ctx: Propagation, node: Node) -> None:
    """MeanVarianceNormalization: axes that it does not work over keep their channels free."""
    labels = ctx.of(node.inputs[0])
    if labels.shrink is None:
        return
    axes = [int(axis) % labels.atoms.ndim for axis in node.attribute("axes", ctx.graph.opset, [0, 2, 3])]
    if labels.shrink in axes:
        ctx.pin(labels.atoms, node, "it normalises over these channels, so removing some changes the others")
        return
    ctx.set(node.outputs[0], ctx.alike(labels.atoms, axes, node), labels.shrink)


def crop(ctx: Propagation, node: Node) -> None:
    """CenterCropPad of other axes than that of the channels."""
    labels = ctx.of(node.inputs[0])
    if labels.shrink is None:
        return
    rank = labels.atoms.ndim
    axes = [int(axis) % rank for axis in node.attribute("axes", ctx.graph.opset) or range(rank)]
    if labels.shrink in axes:
        ctx.pin(labels.atoms, node, "it crops the axis these channels lie on")
        return
    ctx.set(node.outputs[0], ctx.alike(labels.atoms, axes, node), labels.shrink)


def unpool(ctx: Propagation, node: Node) -> None:
    """MaxUnpool: planes of the size that the kernel says, each put together from its own."""
    values, places = (ctx.of(tensor) for tensor in node.inputs[:2])
    if values.shrink is None and places.shrink is None:
        return
    rank = max(values.atoms.ndim, places.atoms.ndim)
    others = [axis for axis in range(rank) if axis != 1]
    if len(node.inputs) > 2 and node.inputs[2].name:
        for labels in (values, places):
            ctx.pin(labels.atoms, node, "the size of its output is given", "leave the size out")
        return
    one, two = (ctx.alike(labels.atoms, others, node) for labels in (values, places))
    ctx.tie(one, two, node, "values and their places go together, and one of them is kept whole")
    ctx.set(node.outputs[0], one, 1)


def remembers(ctx: Propagation, node: Node, labels: Labels) -> None:
    """A MaxPool that remembers places: only MaxUnpool may read them, for they count over all channels."""
    places = node.outputs[1]
    if ctx.graph.is_output(places) or any(reader.op != "MaxUnpool" for reader in places.consumers):
        ctx.pin(labels.atoms, node, _PLACES)
        return
    atoms = ctx.alike(labels.atoms, [axis for axis in range(labels.atoms.ndim) if axis != 1], node)
    for tensor in node.outputs:
        ctx.set(tensor, atoms, 1)
