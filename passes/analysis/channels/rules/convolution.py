"""Conv and ConvTranspose in 1-D, 2-D and 3-D, and DeformConv: ordinary, grouped, depthwise with a multiplier.

Of a grouped convolution every group loses equally many channels; of one that is noted as :data:`BOUND` whole groups
go.
"""

import numpy as np

from .....ir.graph import Array, Graph, Node
from ..labels import Labels, Propagation
from ..surgery import Surgery

BOUND = "optimise_onnx.bound_groups"
"""The key of the note at a node whose groups go or stay as a whole; see ``bind-groups``."""

DEFORMED = "DeformConv"
"""Its offsets and mask, one plane a tap for every group of offsets, hold no channels."""


def convolution(ctx: Propagation, node: Node) -> None:
    """Input channels end here; new ones are born on the output; depthwise channels pass through."""
    x, out = node.inputs[0], node.outputs[0]
    labels = ctx.of(x)
    rank = len(ctx.shape(x))
    atoms = ctx.alike(labels.atoms, [axis for axis in range(rank) if axis != 1], node)
    incoming = np.broadcast_to(atoms.ravel(), ctx.shape(x)[1]) if atoms.size == 1 else atoms.ravel()
    group = int(node.attribute("group", ctx.graph.opset, 1))
    if node.op == DEFORMED:
        fields = incoming.reshape(int(node.attribute("offset_group", ctx.graph.opset, 1)), -1)
        ctx.balance(node, fields, "one group of its offsets serves channels that stay, so no other may lose any")
    if group > 1 and (group == len(incoming) or is_bound(ctx.graph, node)):
        incoming, outgoing = _whole(ctx, node, incoming.reshape(group, -1))
        _by_groups(ctx, node, incoming, outgoing)
    else:
        born = ctx.born(node, out, [1]).ravel() if ctx.shape(out)[1] > 1 else np.zeros(1, np.int64)
        outgoing = _grouped(ctx, node, incoming, born, group)
        ctx.contract(node, 0, Labels(_on_channels(incoming, rank), 1))
    ctx.set(out, _on_channels(outgoing, rank), 1)


def _on_channels(atoms: Array, rank: int) -> Array:
    return atoms.reshape((1, -1) + (1,) * (rank - 2))


def is_bound(graph: Graph, node: Node) -> bool:
    """Whether the groups of a convolution go or stay as a whole."""
    return BOUND in graph.metadata.get(node.name, {})


def _whole(ctx: Propagation, node: Node, blocks: Array) -> tuple[Array, Array]:
    """Let a group's inputs, a row of ``blocks``, and outputs be one; a depthwise convolution has one input a group."""
    ctx.tie(blocks, blocks[:, :1], node, "groups of this convolution go as a whole")
    ends = (ctx.shape(tensor)[1] for tensor in (node.inputs[0], node.outputs[0]))
    incoming, outgoing = (np.repeat(blocks[:, 0], size // len(blocks)) for size in ends)
    return incoming, outgoing


def _by_groups(ctx: Propagation, node: Node, incoming: Array, outgoing: Array) -> None:
    weight = node.inputs[1]
    by_row = incoming if node.op == "ConvTranspose" else outgoing
    ctx.demand(weight, [Labels(by_row.reshape((-1,) + (1,) * (len(ctx.shape(weight)) - 1)), 0)], node)
    _bias(ctx, node, outgoing)


def _grouped(ctx: Propagation, node: Node, incoming: Array, born: Array, group: int) -> Array:
    """Slice the weight on both channel axes; within a group every output row reads its own block of inputs."""
    weight = node.inputs[1]
    shape = ctx.shape(weight)
    rank = len(shape)
    blocks_in, blocks_out = incoming.reshape(group, -1), born.reshape(group, -1)
    for blocks in (blocks_in, blocks_out):
        ctx.balance(node, blocks, "one group of this grouped convolution cannot shrink, so no other may")
    if node.op == "ConvTranspose":
        rows = Labels(incoming.reshape((-1,) + (1,) * (rank - 1)), 0)
        columns = np.repeat(blocks_out, blocks_in.shape[1], 0)
    else:
        rows = Labels(born.reshape((-1,) + (1,) * (rank - 1)), 0)
        columns = np.repeat(blocks_in, blocks_out.shape[1], 0)
    ctx.demand(weight, [Labels(columns.reshape(columns.shape + (1,) * (rank - 2)), 1), rows], node)
    _bias(ctx, node, born)
    return born


def _bias(ctx: Propagation, node: Node, outgoing: Array) -> None:
    place = 3 if node.op == DEFORMED else 2
    if len(node.inputs) > place and node.inputs[place].name:
        ctx.demand(node.inputs[place], [Labels(outgoing, 0)], node)


def resize_group(node: Node, surgery: Surgery) -> None:
    """A depthwise convolution keeps one group a channel, one with bound groups those that are left."""
    old, new = surgery.shapes(node.inputs[0])
    group = int(node.attribute("group", surgery.graph.opset, 1))
    if group > 1 and (group == old[1] or is_bound(surgery.graph, node)):
        node.set_attribute("group", group * new[1] // old[1])
