"""Error curves of groups: the ranking's cheap proxy, scaled by what removing channels really does to the outputs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ...ir.graph import Array, Graph, Node
from ..analysis.channels import Group
from ..analysis.compensation import compensated
from ..analysis.linear import Linear, linear_layers, stored_weight
from ..analysis.mask import masked
from ..analysis.outputs import Judge
from ..analysis.ranking import Ranking
from ..analysis.readers import Reader, readers
from ..analysis.statistics import InputMoments
from ..analysis.writing import stored_bias, writable, write_bias, write_weight

SHARES = (0.25, 0.5, 0.75)
_SMALLEST = 1e-12


@dataclass(frozen=True)
class Probe:
    """Measures the divergence of the outputs when one group loses channels and its readers make up for them."""

    graph: Graph
    ranking: Ranking
    moments: Mapping[str, InputMoments]
    judge: Judge
    layers: dict[str, Linear]
    ridge: float = 1e-3
    weights: dict[str, Array] = field(default_factory=dict)

    @staticmethod
    def of(graph: Graph, ranking: Ranking, moments: Mapping[str, InputMoments], judge: Judge) -> "Probe":
        """Make a probe of the graph that was ranked."""
        layers = linear_layers(graph, ranking.channels.context.shapes)
        alone = {node.name for node in graph.nodes if node.name in layers and writable(graph, node, layers[node.name])}
        return Probe(graph, ranking, moments, judge, {name: layers[name] for name in layers if name in alone})

    def curve(self, group: Group, *, emptied: bool = False) -> Array:
        """Return the group's error after 0, 1, 2, … rounds: proxy times measured divergence over proxy.

        With ``emptied`` the loss of all rounds is measured too.
        """
        proxy = np.asarray(self.ranking.groups[group.name].curve)
        points = {max(1, round(share * (group.width - 1))) for share in SHARES} | ({group.width} if emptied else set())
        reading = readers(self.graph, self.ranking.channels, group, self.layers, self.moments, self.weights)
        return scaled(proxy, sorted(points), [self.divergence(group, count, reading) for count in sorted(points)])

    def divergence(self, group: Group, count: int, reading: Sequence[Reader]) -> float:
        """Zero the first ``count`` rounds at every reader, compensate where the weights may change, run, compare.

        ``count`` may be the group's width. Only what follows the first reader runs.
        """
        stays = ~np.isin(group.cells.ravel(), self.ranking.groups[group.name].order[:count])
        kept = {group.name: group.cells.ravel()[stays]}
        by_node: dict[str, list[Reader]] = {}
        for reader in reading:
            by_node.setdefault(reader.node, []).append(reader)
        rest = by_node.keys() - self.layers.keys()
        copy = masked(self.graph, self.ranking.channels, kept, at=rest) if rest else self.graph.copy()
        nodes = {node.name: node for node in copy.nodes}
        for name, parts in by_node.items():
            if name in self.layers:
                _edit(copy, nodes[name], self.layers[name], parts, stays, self.ridge)
        return self.judge.of(copy)


def _edit(graph: Graph, node: Node, layer: Linear, parts: Sequence[Reader], stays: Array, ridge: float) -> None:
    stored = stored_weight(graph, node, layer)
    matrix = layer.matrix(stored)
    shift = np.zeros((layer.groups, layer.fan_out))
    for reader in parts:
        assert reader.cov is not None and reader.mean is not None
        rows = np.where(reader.unit >= 0, stays[reader.unit], True)
        matrix[reader.part], shift[reader.part] = compensated(
            reader.weight, reader.cov, reader.mean, rows, max(ridge, reader.ridge)
        )
    write_weight(graph, node, layer, layer.weight(matrix, stored))
    write_bias(graph, node, layer, stored_bias(graph, node, layer) + shift.ravel())


def scaled(proxy: Array, points: Sequence[int], measured: Sequence[float]) -> Array:
    """Multiply a proxy curve by measured over proxy at some points, interpolated in the logarithm; never decreasing.

    ``proxy`` (rounds + 1,) from 0, ``points`` ascending rounds of at least 1, ``measured`` their errors. Between two
    points the curve stays between what was measured there.
    """
    known = np.maximum(proxy[list(points)], _SMALLEST)
    heights = np.maximum.accumulate(np.maximum(measured, _SMALLEST))
    place = np.arange(len(proxy))
    curve = proxy * np.exp(np.interp(place, points, np.log(heights / known)))
    low = np.concatenate([[0.0], heights])[np.searchsorted(points, place, "right")]
    high = np.concatenate([heights, [np.inf]])[np.searchsorted(points, place, "left")]
    bounded: Array = np.maximum.accumulate(np.clip(curve, low, high))
    return bounded
