"""Statistics over channels: norms, means and sums that go on as if the channels gone were zero.

Of n channels r n stay, with mean m and variance v. Where the others are zero, the mean of all is r m and the mean of
their squares r (v + m²), so that with u = m / √(v + ε / r)

    (x - r m) / √(r (v + m²) - r² m² + ε) = s ((x - m) / √(v + ε / r) + (1 - r) u),   s = 1 / √(r (1 + (1 - r) u²)).

A norm without a mean has s = 1 / √r and no u.
"""

from typing import Any

import numpy as np
from onnx import helper

from .....ir.arguments import reduced_axes
from .....ir.graph import Array, Graph, Node, Tensor
from ..labels import FLOATS, Labels, Propagation
from ..surgery import Surgery

SUMS = ("ReduceL1", "ReduceL2", "ReduceMean", "ReduceSum", "ReduceSumSquare")
"""Reductions to which a zero adds nothing; of a mean, once it is told how many there were."""

EPSILON = 1e-5
"""What norms add to a variance where they do not say."""


def norm(ctx: Propagation, node: Node, labels: Labels) -> bool:
    """Let the channels that LayerNormalization or RMSNormalization works over go; say whether they may."""
    shrink, rank = labels.shrink, labels.atoms.ndim
    axis = int(node.attribute("axis", ctx.graph.opset, -1)) % rank
    whole = ctx.shape(node.inputs[0])[axis:]
    vectors = [tensor for tensor in node.inputs[1:] if tensor.name]
    stored = all(tensor.is_constant and ctx.shape(tensor) == whole for tensor in vectors)
    if shrink is None or not stored or node.inputs[1].dtype not in FLOATS:
        return False
    atoms = ctx.alike(labels.atoms, [place for place in range(rank) if place != shrink], node)
    for tensor in vectors:
        ctx.demand(tensor, [Labels(atoms.reshape(atoms.shape[axis:]), shrink - axis)], node)
    through(ctx, node, Labels(atoms, shrink))
    return True


def through(ctx: Propagation, node: Node, labels: Labels) -> None:
    """Sum over channels, and let them go on."""
    ctx.contract(node, 0, labels, statistic=True)
    ctx.set(node.outputs[0], labels.atoms, labels.shrink)


def resize_layer_norm(node: Node, surgery: Surgery) -> None:
    """Write the formula above where channels were removed; all that is added but four nodes has one entry a position.

    A mean and a deviation that are outputs become those of all channels.
    """
    share = _share_of_norm(node, surgery)
    if share == 1:
        return
    graph, (y, *others), x = surgery.graph, node.outputs, node.inputs[0]
    vectors = _vectors(node, surgery)
    scale, *shift = (graph.constant(f"{node.name}_vector", vector) for vector in vectors)
    write = Writer(graph, node, np.dtype(np.float32))  # which mean and deviation are, whatever is normalised
    plain, mean, inverse = (graph.variable(f"{y.name}_{name}") for name in ("plain", "mean", "inverse"))
    attributes = node.attributes | {"epsilon": float(node.attribute("epsilon", graph.opset, EPSILON)) / share}
    graph.insert("LayerNormalization", [x, scale], [plain, mean, inverse], attributes, before=node)
    part, gone, product = (write.number(value) for value in (share, 1 - share, share * (1 - share)))
    moved = write("Mul", mean, inverse)
    factor = write("Reciprocal", write("Sqrt", write("Add", write("Mul", write("Mul", moved, moved), product), part)))
    for tensor, (value, times) in zip(others, ((mean, part), (inverse, factor)), strict=False):
        if tensor.name:
            write("Mul", value, times, out=tensor)
    last = Writer(graph, node, scale.dtype)
    added, factor = (last.cast(each) for each in (write("Mul", moved, gone), factor))
    whole = last("Add", plain, last("Mul", added, scale))
    scaled = last("Mul", whole, factor, out=None if shift else y)
    if shift:
        last("Add", scaled, shift[0], out=y)
    graph.remove(node)


def resize_rms_norm(node: Node, surgery: Surgery) -> None:
    """Scale by 1 / √r, and what is added to the mean square by 1 / r."""
    share = _share_of_norm(node, surgery)
    if share == 1:
        return
    (scale,) = _vectors(node, surgery)
    scaled = (scale.astype(np.float64) / np.sqrt(share)).astype(scale.dtype)
    node.set_input(1, surgery.graph.constant(f"{node.name}_scale", scaled))
    node.set_attribute("epsilon", float(node.attribute("epsilon", surgery.graph.opset, EPSILON)) / share)


def resize_mean(node: Node, surgery: Surgery) -> None:
    """Multiply a mean over fewer channels by r."""
    graph, y = surgery.graph, node.outputs[0]
    labels = surgery.ctx.labels.get(node.inputs[0].name)
    axes = reduced_axes(node, graph.opset, len(surgery.ctx.shape(node.inputs[0])))
    share = share_of(node, surgery)
    if share == 1 or labels is None or axes is None or labels.shrink not in axes:
        return
    mean = graph.variable(f"{y.name}_part", y.dtype)
    graph.insert(node.op, node.inputs, [mean], node.attributes, before=node)
    write = Writer(graph, node, np.dtype(node.inputs[0].dtype))
    write("Mul", mean, write.number(share), out=y)
    graph.remove(node)


def _share_of_norm(node: Node, surgery: Surgery) -> float:
    """Return r; 1 where the norm works over other axes than the channels'."""
    labels, rank = surgery.ctx.labels.get(node.inputs[0].name), len(surgery.ctx.shape(node.inputs[0]))
    axis = int(node.attribute("axis", surgery.graph.opset, -1)) % rank
    over = labels is not None and labels.shrink is not None and labels.shrink >= axis
    return share_of(node, surgery) if over else 1.0


def share_of(node: Node, surgery: Surgery) -> float:
    """Return the share of a node's first input that stays."""
    old, new = surgery.shapes(node.inputs[0])
    return float(np.prod(new) / np.prod(old))


def _vectors(node: Node, surgery: Surgery) -> list[Array]:
    """Return what is left of a norm's scale and shift."""
    x = node.inputs[0]
    labels = surgery.ctx.labels[x.name]
    assert labels.shrink is not None
    kept = surgery.positions(x, labels.shrink)
    rank = len(surgery.ctx.shape(x))
    return [
        np.take(tensor.array, kept, labels.shrink - rank + tensor.array.ndim)
        for tensor in node.inputs[1:]
        if tensor.name
    ]


class Writer:
    """Inserts operators before a node, all on one type; numbers become constants of it."""

    def __init__(self, graph: Graph, node: Node, kind: np.dtype[Any]) -> None:
        self.graph, self.node, self.kind = graph, node, kind

    def __call__(self, op: str, *inputs: Tensor, out: Tensor | None = None, **attributes: int) -> Tensor:
        """Insert one and return what it makes."""
        made = out or self.graph.variable(f"{self.node.name}_{op}", self.kind)
        self.graph.insert(op, inputs, [made], attributes, before=self.node)
        return made

    def number(self, value: float) -> Tensor:
        """Store a number."""
        return self.graph.constant(f"{self.node.name}_number", np.asarray(value, self.kind))

    def cast(self, tensor: Tensor) -> Tensor:
        """Bring a tensor of whichever type to this one."""
        to = helper.np_dtype_to_tensor_dtype(self.kind)
        return tensor if tensor.dtype == self.kind else self("Cast", tensor, to=to)
