"""Profiles of one or two models side by side, by operator type and by layer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from ..backends.ort.profiler import NodeTime

Times = Sequence[NodeTime]


@dataclass(frozen=True)
class Line:
    """Microseconds of one run that A and B spend on a layer or operator, and in how many nodes, 0 where it is absent.

    ``layer`` is empty on a line that sums nodes of one operator. ``op`` names two where A and B differ.
    """

    layer: str
    op: str
    microseconds: tuple[float, ...]
    nodes: tuple[int, ...]


@dataclass(frozen=True)
class Profile:
    """Every node's time, a tuple of them for each model."""

    models: tuple[tuple[NodeTime, ...], ...]

    def total(self) -> Line:
        """Return the sum over all nodes."""
        return _line("", "all", self.models)

    def by_operator(self) -> list[Line]:
        """Return a line for each operator type as onnxruntime runs it, the most costly first."""
        return _slowest_first(_pooled(self.models))

    def by_layer(self) -> list[Line]:
        """Return a line for each layer that all models have, the most costly first.

        Layers are the same by name, else by the name of their output. Nodes without a counterpart, and those that
        onnxruntime added, are summed by operator type.
        """
        first, *others = self.models
        models = [first, *(_renamed(first, other) for other in others)]
        grouped = [_grouped(model) for model in models]
        shared = [layer for layer in grouped[0] if layer and all(layer in groups for groups in grouped)]
        lines = [_shared(layer, [groups[layer] for groups in grouped]) for layer in shared]
        rest = [[node for node in model if node.layer not in shared] for model in models]
        return _slowest_first([*lines, *_pooled(rest)])

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "nodes": [[asdict(node) for node in model] for model in self.models],
            "by_operator": [asdict(line) for line in self.by_operator()],
            "by_layer": [asdict(line) for line in self.by_layer()],
        }


def _renamed(first: Times, other: Times) -> list[NodeTime]:
    """Give layers of ``other`` the name of the layer of ``first`` with the same output, unless names agree already."""
    names = {node.layer for node in first}
    free = {node.tensor: node.layer for node in first if node.layer not in {found.layer for found in other}}
    return [node if node.layer in names else replace(node, layer=free.get(node.tensor, node.layer)) for node in other]


def _grouped(nodes: Times) -> dict[str, list[NodeTime]]:
    groups: dict[str, list[NodeTime]] = defaultdict(list)
    for node in nodes:
        groups[node.layer].append(node)
    return groups


def _pooled(models: Sequence[Times]) -> list[Line]:
    ops = dict.fromkeys(node.op for model in models for node in model)
    return [_line("", op, [[node for node in model if node.op == op] for model in models]) for op in ops]


def _shared(layer: str, models: Sequence[Times]) -> Line:
    ops = dict.fromkeys(max(nodes, key=lambda node: node.microseconds).op for nodes in models)
    return _line(layer, " → ".join(ops), models)


def _line(layer: str, op: str, models: Sequence[Times]) -> Line:
    return Line(layer, op, tuple(sum(n.microseconds for n in nodes) for nodes in models), tuple(map(len, models)))


def _slowest_first(lines: Iterable[Line]) -> list[Line]:
    return sorted(lines, key=lambda line: -sum(line.microseconds))
