"""Norms over groups of channels and all their pixels: whole groups go; of a single one, its channels.

Of all values of a single group a share r stays. With M and Q the mean of all, and of the squares of all, which are r
times those of what stays, the norm is (x - M) / √(Q - M² + ε). A sum does not see zeros, so a second removal only has
to do the same to both means.
"""

from collections.abc import Sequence

import numpy as np

from .....ir.graph import Graph, Node, Tensor
from ..labels import FLOATS, Labels, Propagation
from ..surgery import Surgery
from .over_channels import EPSILON, Writer, share_of, through

_BY_CHANNEL = 21  # the operator set since which GroupNormalization has one factor a channel, not a group
_REDUCES_BY_INPUT = 18  # the operator set since which ReduceMean takes its axes as an input


def group_norm(ctx: Propagation, node: Node) -> None:
    """GroupNormalization: a group goes as a whole; where there is one, its channels go on as if the others were 0."""
    labels = ctx.of(node.inputs[0])
    if labels.shrink is None:
        return
    atoms = ctx.alike(labels.atoms, [axis for axis in range(labels.atoms.ndim) if axis != 1], node)
    if atoms.size == 1:
        return
    count = int(node.attribute("num_groups", ctx.graph.opset))
    if count > 1:
        groups = atoms.reshape(count, -1)
        ctx.tie(groups, groups[:, :1], node, "groups of this norm go as a whole")
        atoms = np.repeat(groups[:, 0], groups.shape[1]).reshape(atoms.shape)
        ctx.set(node.outputs[0], atoms, 1)
    else:
        through(ctx, node, Labels(atoms, 1))
    by_channel = ctx.graph.opset >= _BY_CHANNEL
    for tensor in node.inputs[1:3]:
        layers = [Labels(atoms.ravel() if by_channel else atoms.reshape(count, -1)[:, 0], 0)]
        ctx.demand(tensor, layers if by_channel or count > 1 else [], node)


def is_single(ctx: Propagation, node: Node, labels: Labels) -> bool:
    """Whether an InstanceNormalization sees one group, its channels and pixels laid on the axes behind it."""
    one = ctx.shape(node.inputs[0])[1] == 1 and labels.shrink is not None and labels.shrink > 1
    return one and labels.atoms.shape[0] == 1 and node.inputs[1].dtype in FLOATS


def resize_group_norm(node: Node, surgery: Surgery) -> None:
    """Count the groups that are left; write the norm of a single one as it was before."""
    opset = surgery.graph.opset
    old, new = surgery.shapes(node.inputs[0])
    count = int(node.attribute("num_groups", opset))
    if count > 1:
        node.set_attribute("num_groups", count * new[1] // old[1])
    elif old != new:
        kept = surgery.positions(node.inputs[0], 1)
        arrays = [t.array if t.array.size == 1 else t.array[kept] for t in node.inputs[1:3]]
        form = (-1, *(1 for _ in old[2:]))
        vectors = [surgery.graph.constant(f"{node.name}_vector", array.reshape(form)) for array in arrays]
        _write(surgery, node, range(1, len(old)), vectors)


def resize_instance_norm(node: Node, surgery: Surgery) -> None:
    """Write the norm of a single group as it was before channels were removed."""
    x = node.inputs[0]
    labels = surgery.ctx.labels.get(x.name)
    old, new = surgery.shapes(x)
    if labels is not None and old != new and is_single(surgery.ctx, node, labels):
        _write(surgery, node, range(2, len(old)), node.inputs[1:])


def _write(surgery: Surgery, node: Node, axes: Sequence[int], vectors: list[Tensor]) -> None:
    """Write the formula above, the factor and the shift in ``vectors`` behind it."""
    graph, (x, *_), out = surgery.graph, node.inputs, node.outputs[0]
    kind = vectors[0].dtype
    write, last = (Writer(graph, node, each) for each in (np.promote_types(kind, np.float32), np.dtype(kind)))
    values = write.cast(x)
    share = write.number(share_of(node, surgery))
    mean, square = (
        write("Mul", _mean(graph, node, each, axes), share) for each in (values, write("Mul", values, values))
    )
    variance = write("Relu", write("Sub", square, write("Mul", mean, mean)))
    epsilon = write.number(float(node.attribute("epsilon", graph.opset, EPSILON)))
    factor = write("Reciprocal", write("Sqrt", write("Add", variance, epsilon)))
    normal = last.cast(write("Mul", write("Sub", values, mean), factor))
    last("Add", last("Mul", normal, vectors[0]), vectors[1], out=out)
    graph.remove(node)


def _mean(graph: Graph, node: Node, values: Tensor, axes: Sequence[int]) -> Tensor:
    made = graph.variable(f"{node.name}_mean", values.dtype)
    if graph.opset < _REDUCES_BY_INPUT:
        graph.insert("ReduceMean", [values], [made], {"axes": list(axes), "keepdims": 1}, before=node)
    else:
        listed = graph.constant(f"{node.name}_axes", np.asarray(axes, np.int64))
        graph.insert("ReduceMean", [values, listed], [made], {"keepdims": 1}, before=node)
    return made
