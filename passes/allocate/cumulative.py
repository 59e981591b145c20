"""The divergence when several groups lose channels at once, and all readers make up for all of what they lost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ...ir.graph import Array, Graph
from ..analysis.compensation import compensated
from ..analysis.linear import Linear, linear_layers, stored_weight
from ..analysis.mask import masked
from ..analysis.outputs import Judge
from ..analysis.ranking import Ranking
from ..analysis.readers import Reader, readers
from ..analysis.statistics import InputMoments
from ..analysis.writing import stored_bias, writable, write_bias, write_weight


@dataclass(frozen=True)
class CumulativeProbe:
    """Measures on the unpruned graph. ``layers``: those whose weights may be edited; the others read zeros."""

    graph: Graph
    ranking: Ranking
    judge: Judge
    layers: dict[str, Linear]
    reading: dict[str, list[Reader]]
    ridge: float = 1e-3
    _solved: dict[tuple[str, int], tuple[bytes, Array, Array]] = field(default_factory=dict)

    @staticmethod
    def of(
        graph: Graph, ranking: Ranking, moments: Mapping[str, InputMoments], judge: Judge, ridge: float = 1e-3
    ) -> "CumulativeProbe":
        """Make a probe of the graph that was ranked."""
        channels = ranking.channels
        found = linear_layers(graph, channels.context.shapes)
        layers = {node.name: found[node.name] for node in graph.nodes if node.name in found}
        layers = {name: layer for name, layer in layers.items() if writable(graph, graph.node(name), layer)}
        weights: dict[str, Array] = {}
        reading = {
            group.name: readers(graph, channels, group, layers, moments, weights)
            for group in channels.groups
            if group.name in ranking.groups
        }
        return CumulativeProbe(graph, ranking, judge, layers, reading, ridge)

    def divergence(self, removed: Mapping[str, int]) -> float:
        """Take the first ``removed`` rounds out of every group named, by name; return how far the outputs move."""
        kept = self.ranking.kept(removed)
        parts, stays = self._rows(kept)
        rest = {node for node, _ in parts} - self.layers.keys()
        copy = masked(self.graph, self.ranking.channels, kept, at=rest) if rest else self.graph.copy()
        by_node: dict[str, list[int]] = {}
        for node, part in parts:
            if node in self.layers:
                by_node.setdefault(node, []).append(part)
        for node, numbers in by_node.items():
            self._edit(copy, self.layers[node], [(parts[node, part], stays[node, part]) for part in numbers])
        return self.judge.of(copy)

    def _rows(self, kept: Mapping[str, Array]) -> tuple[dict[tuple[str, int], Reader], dict[tuple[str, int], Array]]:
        """Return every part of a layer that loses rows, and which rows of it stay."""
        parts: dict[tuple[str, int], Reader] = {}
        stays: dict[tuple[str, int], Array] = {}
        for group in self.ranking.channels.groups:
            if group.name not in kept:
                continue
            units = np.isin(group.cells.ravel(), kept[group.name])
            for reader in self.reading[group.name]:
                place = reader.node, reader.part
                rows = np.where(reader.unit >= 0, units[reader.unit], True)
                parts[place], stays[place] = reader, stays.get(place, True) & rows
        return parts, stays

    def _edit(self, graph: Graph, layer: Linear, losing: Sequence[tuple[Reader, Array]]) -> None:
        node = graph.node(layer.node)
        stored = stored_weight(graph, node, layer)
        matrix = layer.matrix(stored)
        shift = np.zeros((layer.groups, layer.fan_out))
        for reader, stays in losing:
            matrix[reader.part], shift[reader.part] = self._compensated(reader, stays)
        write_weight(graph, node, layer, layer.weight(matrix, stored))
        write_bias(graph, node, layer, stored_bias(graph, node, layer) + shift.ravel())

    def _compensated(self, reader: Reader, stays: Array) -> tuple[Array, Array]:
        """Solve, unless the last probe has left the same rows."""
        place, rows = (reader.node, reader.part), stays.tobytes()
        if place not in self._solved or self._solved[place][0] != rows:
            assert reader.cov is not None and reader.mean is not None
            ridge = max(self.ridge, reader.ridge)
            solved = compensated(reader.weight, reader.cov, reader.mean, stays, ridge)
            self._solved[place] = rows, *solved
        return self._solved[place][1:]
