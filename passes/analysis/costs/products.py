"""A graph's cost as a function of group widths: a sum of products of two linear counts."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ....ir.cost import PAST_KEYS, all_shapes, is_parameter, macs, mixed
from ....ir.graph import Array, Graph, Node, Tensor
from ....ir.shapes import Shape
from ..channels.groups import Channels
from ..channels.labels import Labels, rows
from ..channels.rules.recurrent import GATES, RECURRENCE
from ..layers.linear import stored_weight
from ..layers.writing import has_own_bias, writable


@dataclass(frozen=True)
class Count:
    """A number of indices that depends on widths: ``fixed + per_unit @ kept_units``."""

    fixed: float
    per_unit: Array

    def at(self, kept: Array) -> float:
        """The count when every group keeps ``kept`` units."""
        return float(self.fixed + self.per_unit @ kept)


@dataclass(frozen=True)
class Product:
    """``factor * left * right``; ``layer`` names the node whose weight costs that, if one alone does."""

    factor: float
    left: Count
    right: Count
    layer: str = ""


@dataclass(frozen=True)
class Counter:
    """Writes costs over the widths of the groups of one analysed graph. ``owner``: each class's group, or -1."""

    channels: Channels
    owner: Array

    @staticmethod
    def of(channels: Channels) -> "Counter":
        owner = np.full(channels.context.registry_size(), -1)
        for number, group in enumerate(channels.groups):
            owner[group.cells] = number
        return Counter(channels, owner)

    def product(self, whole: float, axes: Sequence[Labels], layer: str = "") -> Product:
        """Write a cost proportional to the number of indices along the shrinking axes of at most two tensors."""
        counts = [self._count(labels) for labels in axes]
        extents = [labels.atoms.shape[labels.shrink or 0] for labels in axes]
        one = Count(1.0, np.zeros(len(self.channels.groups)))
        left, right = (counts + [one, one])[:2]
        return Product(whole / float(np.prod(extents)), left, right, layer)

    def _count(self, labels: Labels) -> Count:
        groups = self.owner[rows(labels)[0]]
        widths = np.array([group.width for group in self.channels.groups], float)
        held = np.bincount(groups[groups >= 0], minlength=len(widths)) / widths
        return Count(float((groups < 0).sum()), held)


def cost_products(graph: Graph, channels: Channels, kind: str) -> list[Product]:
    """Write the cost of ``graph`` (``macs`` of one sample, ``params`` or ``bytes``) as products over group widths.

    Exact for MACs and parameters as long as each tensor holds as many channels of a cell whichever of them stay;
    copies of shared vectors are left out, and of bytes the few that rewritten shapes and indices take.
    """
    counter = Counter.of(channels)
    needed = graph.copy()
    needed.clean()
    if kind == "macs":
        shapes = all_shapes(needed)
        return [product for node in needed.nodes for product in _macs(node, shapes, graph.opset, counter)]
    found = []
    inner = (tensor for node in needed.nodes for tensor in node.captures() if tensor.is_constant)
    for tensor in dict.fromkeys((*needed.constants(), *inner)):
        if kind == "bytes" or is_parameter(tensor.dtype):
            size = tensor.array.nbytes if kind == "bytes" else tensor.array.size
            axes = channels.context.slices.get(tensor.name, [])[:2]
            found.append(counter.product(size, axes, _weighs(tensor)))
    return found


def _weighs(tensor: Tensor) -> str:
    """Name the one node that a matrix or kernel is the weight of."""
    return tensor.consumers[0].name if tensor.array.ndim > 1 and len(tensor.consumers) == 1 else ""


def _macs(node: Node, shapes: dict[str, Shape], opset: int, counter: Counter) -> list[Product]:
    """MACs are proportional to the count on the axis summed over and to the count on the output's channel axis."""
    whole = macs(node, shapes, opset)
    if not whole:
        return []
    ctx = counter.channels.context
    ends = {end.operand: end.labels for end in ctx.contractions if end.node == node.name}
    if node.op in GATES:
        inward, recurrent = (float(np.prod(shapes[t.name])) for t in node.inputs[1:3])
        hidden = [ends[RECURRENCE]] if RECURRENCE in ends else []
        of_inputs = whole * inward / (inward + recurrent)
        read = counter.product(of_inputs, hidden + ([ends[0]] if 0 in ends else []))
        return [read, counter.product(whole - of_inputs, hidden * 2)]
    made = [ctx.labels[t.name] for t in node.outputs[:1] if t.name in ctx.labels]
    if node.qualified in PAST_KEYS:
        scores, values = mixed(node, shapes)
        return [counter.product(scores, [ends[0]] if 0 in ends else []), counter.product(values, made)]
    return [counter.product(whole, made + list(ends.values())[:1], node.name)]


def bias_products(graph: Graph, channels: Channels, kind: str) -> list[Product]:
    """Write what the biases cost that solving the layers anew would add, where one is missing or not a layer's own."""
    counter = Counter.of(channels)
    layers = channels.layers
    found = []
    for node in graph.nodes if kind != "macs" else ():
        layer = layers.get(node.name)
        if layer is None or not writable(graph, node, layer) or has_own_bias(graph, node, layer):
            continue
        size = layer.groups * layer.fan_out
        labels = channels.context.labels.get(layer.output)
        shrinks = labels is not None and labels.atoms.shape[labels.shrink or 0] == size
        each = stored_weight(graph, node, layer).itemsize if kind == "bytes" else 1
        found.append(counter.product(size * each, [labels] if labels is not None and shrinks else []))
    return found


def evaluate(products: Sequence[Product], kept: Array) -> float:
    """Return the cost when every group keeps ``kept`` units."""
    return sum(product.factor * product.left.at(kept) * product.right.at(kept) for product in products)
