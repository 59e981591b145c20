"""Gates of squeeze-and-excitation: factors on channels that the network computes from what these hold on average."""

from __future__ import annotations

from ....ir.graph import Graph, Node, Tensor
from .groups import Channels
from .rules.elementwise import static

_ENDS = frozenset({"Clip", "HardSigmoid", "Sigmoid"})
_SCALED = frozenset({"Add", "Div", "Mul"})
_MOVED = frozenset({"Expand", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze"})
_POOLS = frozenset({"AveragePool", "GlobalAveragePool", "ReduceMean"})


def gates(graph: Graph, channels: Channels) -> list[str]:
    """Name the tensors that gate others, as in Hu, Shen, Sun, "Squeeze-and-excitation networks", CVPR 2018.

    A Mul takes a map and a factor that is as large along one axis, that of channels, and 1 along all behind it; a
    sigmoid, or a ramp that stands in for one, made the factor from means of the same map.
    """
    return [gate.name for node in graph.nodes if node.op == "Mul" and (gate := _gate(node, channels)) is not None]


def _gate(node: Node, channels: Channels) -> Tensor | None:
    shapes = channels.context.shapes
    for own, other in (node.inputs, node.inputs[::-1]):
        if own.name not in shapes or other.name not in shapes:
            continue
        gate, whole = shapes[own.name], shapes[other.name]
        if len(gate) != len(whole) or len(gate) < 3 or not _per_channel(gate, whole):
            continue
        end = _bounded(own)
        if end is not None and _pools(end, other):
            return own
    return None


def _per_channel(gate: tuple[int, ...], whole: tuple[int, ...]) -> bool:
    """Whether a factor has the batch of a map, one channel axis of it, and nothing else that is longer than 1."""
    same = [place for place, size in enumerate(gate) if place and size > 1]
    return gate[0] == whole[0] and len(same) == 1 and gate[same[0]] == whole[same[0]] and gate != whole


def _bounded(tensor: Tensor) -> Node | None:
    """Return the sigmoid or ramp that a tensor comes from by scaling and moving alone."""
    node = tensor.producer
    while node is not None and node.op not in _ENDS:
        live = [each for each in node.inputs if each.name and not static(each)]
        steps = node.op in _MOVED or (node.op in _SCALED and len(live) == 1)
        node = live[0].producer if steps and live else None
    return node


def _pools(end: Node, source: Tensor) -> bool:
    """Whether what a node computes goes back to means of a tensor."""
    stack, seen = [end], {end.name}
    while stack:
        node = stack.pop()
        if node.op in _POOLS and node.inputs[0] == source:
            return True
        makers = [tensor.producer for tensor in node.inputs if tensor.name and tensor != source]
        fresh = [maker for maker in makers if maker is not None and maker.name not in seen]
        seen.update(maker.name for maker in fresh)
        stack += fresh
    return False
