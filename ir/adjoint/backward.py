"""Reverse accumulation: from slopes at some tensors of a graph to the slopes at others, as nodes on a sheet."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from ..graph import Graph, Node
from ..shapes import Shape
from .lowering.table import LOWERINGS
from .sheet import Sheet
from .step import Rule, Step, is_real, other_floats
from .table import FLAT, RULES

_CASTS = ("Cast", "CastLike")
_QUANTISERS = ("QuantizeLinear", "DynamicQuantizeLinear")


def backward(
    graph: Graph, shapes: Mapping[str, Shape], sheet: Sheet, slopes: Mapping[str, str], wanted: Collection[str]
) -> dict[str, str]:
    """Write the nodes that compute the slope at every tensor in ``wanted`` and return their names; one without any
    path to ``slopes`` is left out.

    ``graph`` has opset 18 or more; ``slopes`` name, by tensor, the derivative of a number by it. Nodes read the
    graph's own tensors, as they were computed forward. Raises UnsupportedOpError at a node without a rule on the way.
    """
    moved = _moved(graph, wanted)
    held: dict[str, list[str]] = {name: [slope] for name, slope in slopes.items()}
    for node in reversed(graph.nodes):
        if not any(tensor.name in held and tensor.name in moved for tensor in node.outputs):
            continue
        reached = frozenset(index for index, tensor in enumerate(node.inputs) if tensor.name in moved)
        captured = dict.fromkeys(tensor.name for tensor in node.captures() if tensor.name in moved)
        if not reached and not captured:
            continue
        here = [_settled(sheet, held, tensor.name) for tensor in node.outputs]
        step = Step(node, graph, sheet, shapes, here, reached, tuple(captured), backward)
        for place, slope in _rule(step)(step).items():
            if place in reached or place in captured:
                name = place if isinstance(place, str) else node.inputs[place].name
                held.setdefault(name, []).append(slope)
    found = {name: _settled(sheet, held, name) for name in wanted}
    return {name: slope for name, slope in found.items() if slope is not None}


def _moved(graph: Graph, wanted: Collection[str]) -> set[str]:
    """Name the tensors of real numbers, quantised ones too, that move when one of those in ``wanted`` does."""
    moved, quantised = set(wanted), set[str]()
    for node in graph.nodes:
        read = {tensor.name for tensor in (*node.inputs, *node.captures())}
        if not read & moved or _is_flat(node):
            continue
        written = {tensor.name for tensor in node.outputs if tensor.name}
        real = {tensor.name for tensor in node.outputs if tensor.name and is_real(tensor.dtype)}
        if node.op in _QUANTISERS or read & quantised:
            quantised |= written - real
        moved |= real | (written & quantised)
    return moved


def _is_flat(node: Node) -> bool:
    return node.op in FLAT and not node.domain


def _settled(sheet: Sheet, held: dict[str, list[str]], name: str) -> str | None:
    """Add up what has come together at a tensor."""
    terms = held.get(name)
    if not terms:
        return None
    if len(terms) > 1:
        held[name] = [sheet.total(terms)]
    return held[name][0]


def _rule(step: Step) -> Rule:
    node = step.node
    odd = other_floats(node)
    if odd and node.op not in _CASTS:
        raise step.refuse(f"it computes in {odd}, and gradients in float32")
    if node.qualified in LOWERINGS:
        LOWERINGS[node.qualified](step)  # says why it could not
    if node.qualified not in RULES:
        raise step.refuse("its operator has no rule")
    return RULES[node.qualified]
