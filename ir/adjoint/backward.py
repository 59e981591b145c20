"""Reverse accumulation: from slopes at some tensors of a graph to the slopes at others, as nodes on a sheet."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

from ..graph import Graph, Node
from ..shapes import Shape
from .sheet import Sheet
from .step import Rule, Step
from .table import FLAT, RULES

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
        if not reached:
            continue
        here = [_settled(sheet, held, tensor.name) for tensor in node.outputs]
        step = Step(node, graph.opset, sheet, shapes, here, reached)
        for index, slope in _rule(step)(step).items():
            if index in reached:
                held.setdefault(node.inputs[index].name, []).append(slope)
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
        real = {tensor.name for tensor in node.outputs if tensor.name and _is_real(tensor.dtype)}
        if node.op in _QUANTISERS or read & quantised:
            quantised |= written - real
        moved |= real | (written & quantised)
    return moved


def _is_flat(node: Node) -> bool:
    return node.op in FLAT and not node.domain


def _is_real(dtype: object) -> bool:
    """Whether an element type is one of floats; bfloat16 is of numpy's kind V."""
    return dtype is None or np.dtype(dtype).kind in "fV"  # type: ignore[call-overload]


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
    if node.domain or node.op not in RULES:
        raise step.refuse("its operator has no rule")
    odd = next((str(t.dtype) for t in (*node.inputs, *node.outputs) if _is_odd(t.dtype)), None)
    if odd and node.op != "Cast":
        raise step.refuse(f"it computes in {odd}, and gradients in float32")
    return RULES[node.op]


def _is_odd(dtype: object) -> bool:
    return dtype is not None and _is_real(dtype) and dtype != np.float32
