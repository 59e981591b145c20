"""The divergence when several groups lose channels at once, and all readers make up for all of what they lost."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from ...ir.graph import Array, Graph
from ..analysis.channels.ranking import Ranking
from ..analysis.channels.readers import Reader, readers
from ..analysis.channels.repaired import RIDGE, editable_layers, repaired, repaired_copy
from ..analysis.layers.linear import Linear
from ..analysis.statistics.input_moments import InputMoments
from ..analysis.statistics.judge import Judge


@dataclass(frozen=True)
class CumulativeProbe:
    """Measures on the unpruned graph. ``layers``: those whose weights may be edited; the others read zeros."""

    graph: Graph
    ranking: Ranking
    judge: Judge
    layers: dict[str, Linear]
    reading: dict[str, list[Reader]]
    ridge: float = RIDGE
    _solved: dict[tuple[str, int], tuple[bytes, Array, Array]] = field(default_factory=dict)

    @staticmethod
    def of(
        graph: Graph, ranking: Ranking, moments: Mapping[str, InputMoments], judge: Judge, ridge: float = RIDGE
    ) -> "CumulativeProbe":
        """Make a probe of the graph that was ranked."""
        channels = ranking.channels
        layers = editable_layers(graph, channels)
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
        by_node: dict[str, list[tuple[Reader, Array]]] = {}
        for place, reader in parts.items():
            by_node.setdefault(reader.node, []).append((reader, stays[place]))
        channels = self.ranking.channels
        return self.judge.of(repaired_copy(self.graph, channels, kept, self.layers, by_node, self._compensated))

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

    def _compensated(self, reader: Reader, stays: Array) -> tuple[Array, Array]:
        """Solve, unless the last probe has left the same rows."""
        place, rows = (reader.node, reader.part), stays.tobytes()
        if place not in self._solved or self._solved[place][0] != rows:
            self._solved[place] = rows, *repaired(reader, stays, self.ridge)
        return self._solved[place][1:]
