"""A graph's cost as a function of group widths: a constant plus products of two linear counts."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...ir.cost import is_parameter, macs
from ...ir.graph import Array, Graph, Node
from .channels import Channels
from .context import Labels


@dataclass(frozen=True)
class Count:
    """A number of indices that depends on widths: ``fixed + per_unit @ kept_units``."""

    fixed: float
    per_unit: Array


@dataclass(frozen=True)
class Product:
    """``factor * left * right``."""

    factor: float
    left: Count
    right: Count


def count_of(labels: Labels | None, extent: float, channels: Channels, owner: Array) -> Count:
    """Count the indices of a tensor along its shrinking axis; ``extent`` when nothing can go."""
    number = len(channels.groups)
    if labels is None or labels.shrink is None:
        return Count(extent, np.zeros(number))
    first = np.moveaxis(labels.atoms, labels.shrink, -1).reshape(-1, labels.atoms.shape[labels.shrink])[0]
    groups = owner[first]
    widths = np.array([group.width for group in channels.groups], float)
    held = np.bincount(groups[groups >= 0], minlength=number) / widths
    return Count(float((groups < 0).sum()), held)


def owners(channels: Channels) -> Array:
    """Return, for every class id, the number of its group, -1 for what cannot go."""
    owner = np.full(channels.context.registry_size(), -1)
    for number, group in enumerate(channels.groups):
        owner[group.cells] = number
    return owner


def cost_products(graph: Graph, channels: Channels, kind: str) -> list[Product]:
    """Write the cost of ``graph`` (``macs`` of one sample, ``params`` or ``bytes``) as products over group widths."""
    owner = owners(channels)
    if kind == "macs":
        return [_macs(graph, node, channels, owner) for node in graph.nodes]
    found = []
    for tensor in graph.constants():
        if kind == "bytes" or is_parameter(tensor.dtype):
            size = tensor.array.nbytes if kind == "bytes" else tensor.array.size
            layers = channels.context.slices.get(tensor.name, [])
            found.append(_product(float(size), layers, tensor.array.shape, channels, owner))
    return found


def _product(
    size: float, layers: Sequence[Labels], shape: Sequence[int], channels: Channels, owner: Array
) -> Product:
    one = Count(1.0, np.zeros(len(channels.groups)))
    counts = []
    for layer in layers[:2]:
        extent = shape[layer.shrink or 0]
        size /= extent
        counts.append(count_of(layer, extent, channels, owner))
    return Product(size, *(counts + [one, one])[:2])


def _macs(graph: Graph, node: Node, channels: Channels, owner: Array) -> Product:
    """MACs are proportional to the count on the axis summed over and to the count on the output's channel axis."""
    ctx = channels.context
    batch = ctx.shapes[graph.inputs[0].name][0] if graph.inputs and ctx.shapes[graph.inputs[0].name] else 1
    symbolic = graph.inputs and graph.inputs[0].shape and not isinstance(graph.inputs[0].shape[0], int)
    whole = macs(node, ctx.shapes, graph.opset) / (batch if symbolic else 1)
    layers = []
    extents = []
    if node.outputs and node.outputs[0].name in ctx.labels:
        out = ctx.labels[node.outputs[0].name]
        layers.append(out)
        extents.append(ctx.shapes[node.outputs[0].name][out.shrink or 0])
    for end in ctx.contractions:
        if end.node == node.name and len(layers) < 2:
            layers.append(end.labels)
            extents.append(ctx.shapes[node.inputs[end.operand].name][end.labels.shrink or 0])
    one = Count(1.0, np.zeros(len(channels.groups)))
    counts = [count_of(layer, extent, channels, owner) for layer, extent in zip(layers, extents, strict=True)]
    return Product(whole / float(np.prod(extents or [1])), *(counts + [one, one])[:2])


def evaluate(products: Sequence[Product], kept: Array) -> float:
    """Return the cost when every group keeps ``kept`` units."""
    return float(
        sum(p.factor * (p.left.fixed + p.left.per_unit @ kept) * (p.right.fixed + p.right.per_unit @ kept) for p in products)
    )
