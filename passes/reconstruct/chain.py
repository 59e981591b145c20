"""Two layers with nothing but activations and depthwise convolutions between them: what can be solved as one."""

from collections.abc import Mapping, Set
from dataclasses import dataclass

from ...ir.arguments import clip_bounds
from ...ir.graph import Graph, Node
from ...ir.shapes import Shape
from ..analysis.layers.linear import Linear
from ..analysis.layers.rounding import dequantiser
from ..analysis.layers.writing import bias_place, writable

_ACTIVATIONS = ("Clip", "Relu")


@dataclass(frozen=True)
class Chain:
    """``first`` feeds ``last`` through ``between`` alone, in order."""

    first: Linear
    between: tuple[Node, ...]
    last: Linear


def chain_from(
    graph: Graph,
    layers: Mapping[str, Linear],
    shapes: Mapping[str, Shape],
    first: Linear,
    inner: Set[str] = frozenset(),
) -> Chain | None:
    """Follow a layer to the next dense one; None where something else is in the way, or no activation.

    ``inner`` nodes are first halves of a layer's form, which no tensor of the original is the target of.
    """
    node = graph.node(first.node)
    place = bias_place(graph, node, first)
    end, between = (place[0] if place is not None else node).outputs[0], list[Node]()
    if not _plain(first, shapes):
        return None
    while not graph.is_output(end) and len(end.consumers) == 1:
        reader = end.consumers[0]
        layer = layers.get(reader.name)
        if layer is not None and layer.groups == 1 and reader.name not in inner:
            bent = any(_bends(n, graph.opset) for n in between)
            fits = bent and layer.input == end.name and _plain(layer, shapes) and writable(graph, reader, layer)
            return Chain(first, tuple(between), layer) if fits else None
        grouped = layer is not None and _plain(layer, shapes)
        if reader.inputs[0] != end or not (grouped or _bends(reader, graph.opset)):
            return None
        back = dequantiser(reader)
        between += [reader] if back is None else [reader, back]
        end = between[-1].outputs[0]
    return None


def _bends(node: Node, opset: int) -> bool:
    """Whether a node is an activation that is linear between kinks known beforehand, as a rounding is about."""
    if dequantiser(node) is not None:
        return True
    if node.domain or node.op not in _ACTIVATIONS:
        return False
    return node.op == "Relu" or clip_bounds(node, opset) is not None


def _plain(layer: Linear, shapes: Mapping[str, Shape]) -> bool:
    """Whether the input stands left of the weight, and a convolution knows the sizes it walks over."""
    if layer.geometry is None:
        return not layer.columns
    return all(isinstance(size, int) for size in shapes.get(layer.input, (None,) * 3)[2:])
