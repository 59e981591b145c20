"""What differs between two graphs, node by node, in an order that reads like the first one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any

from ..ir.cost import all_shapes
from ..ir.graph import Graph, Node
from ..ir.shapes import Shape

SAME, RESIZED, CHANGED, GONE, NEW = "same", "resized", "changed", "gone", "new"
_RUN = 3  # nodes in a row that stayed or went are told in one line, from here on
_FOLDED = (SAME, GONE)


@dataclass(frozen=True)
class Change:
    """One node: what became of it, the shapes of its output and of its weights, before and after, as far as known."""

    kind: str
    name: str
    op: str
    output: tuple[str, str] = ("", "")
    weights: tuple[str, str] = ("", "")

    @property
    def follows(self) -> bool:
        """Whether it has no weights and does what it did, at the width of what it reads."""
        return self.kind in (SAME, RESIZED) and not any(self.weights)


@dataclass(frozen=True)
class Folded:
    """Nodes in a row to which the same happened, told in one line."""

    kind: str
    count: int
    ops: str
    first: str
    last: str


@dataclass(frozen=True)
class Changes:
    """Every node of both graphs, those of the first in its order, new ones where they stand in the second."""

    nodes: tuple[Change, ...]

    @property
    def counts(self) -> dict[str, int]:
        """How many nodes there are of every kind."""
        found = Counter(node.kind for node in self.nodes)
        return {kind: found[kind] for kind in (SAME, RESIZED, CHANGED, GONE, NEW) if found[kind]}

    @property
    def lines(self) -> Iterator[Change | Folded]:
        """What a person reads: rows of nodes that stayed or went are one line, and those that only follow are none."""
        told = (node for node in self.nodes if not node.follows)
        for kind, nodes in groupby(told, key=lambda node: node.kind):
            listed = list(nodes)
            if kind in _FOLDED and len(listed) >= _RUN:
                yield Folded(kind, len(listed), _counted(listed), listed[0].name, listed[-1].name)
            else:
                yield from listed

    @property
    def said(self) -> str:
        """All in one sentence."""
        words = {SAME: "of the same shape", RESIZED: "resized", CHANGED: "changed", GONE: "gone", NEW: "new"}
        return ", ".join(f"{count} {words[kind]}" for kind, count in self.counts.items()) or "no nodes"

    def to_json(self) -> dict[str, Any]:
        """Return plain values for a JSON file."""
        return {"counts": self.counts, "nodes": [asdict(node) for node in self.nodes]}


def changes(before: Graph, after: Graph) -> Changes:
    """Compare two graphs by the names of their nodes. Raises InvalidModelError where input shapes are unknown."""
    sides = _Side.of(before), _Side.of(after)
    listed = [_change(node, *sides) for node in before.nodes]
    places = {change.name: place for place, change in enumerate(listed)}
    ordered: list[tuple[float, int, Change]] = [(place, 0, change) for place, change in enumerate(listed)]
    at = -1.0
    for number, node in enumerate(after.nodes, 1):
        if node.name in places:
            at = places[node.name]
            continue
        ordered.append((at, number, Change(NEW, node.name, node.op, ("", sides[1].output(node)), ("", _weights(node)))))
    return Changes(tuple(change for *_, change in sorted(ordered, key=lambda each: each[:2])))


@dataclass(frozen=True)
class _Side:
    nodes: Mapping[str, Node]
    shapes: Mapping[str, Shape]

    @staticmethod
    def of(graph: Graph) -> _Side:
        return _Side({node.name: node for node in graph.nodes}, all_shapes(graph))

    def output(self, node: Node) -> str:
        return _shape(self.shapes.get(node.outputs[0].name)) if node.outputs else ""


def _change(node: Node, before: _Side, after: _Side) -> Change:
    other = after.nodes.get(node.name)
    output, weights = before.output(node), _weights(node)
    if other is None:
        return Change(GONE, node.name, node.op, (output, ""), (weights, ""))
    pair, held = (output, after.output(other)), (weights, _weights(other))
    op = node.op if node.op == other.op else f"{node.op} → {other.op}"
    return Change(_kind(node, other, pair, held), node.name, op, pair, held)


def _kind(node: Node, other: Node, output: tuple[str, str], weights: tuple[str, str]) -> str:
    if node.op != other.op:
        return CHANGED
    if (all(output) and output[0] != output[1]) or (all(weights) and weights[0] != weights[1]):
        return RESIZED
    return SAME if len(node.inputs) == len(other.inputs) and weights[0] == weights[1] else CHANGED


def _weights(node: Node) -> str:
    constants = [tensor for tensor in node.inputs if tensor.is_constant and tensor.array.ndim > 1]
    return ", ".join(_shape(tensor.array.shape) for tensor in constants)


def _shape(shape: tuple[int, ...] | None) -> str:
    return "×".join(map(str, shape)) if shape else ""


def _counted(nodes: list[Change]) -> str:
    found = Counter(node.op for node in nodes)
    return ", ".join(f"{count} {op}" for op, count in found.most_common())
