"""Error curves of groups: the ranking's cheap proxy, scaled by what removing some channels really does to the outputs."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...ir.graph import Array, Graph
from ..analysis.channels import Group
from ..analysis.compensation import compensated
from ..analysis.linear import Linear, linear_layers, stored_weight
from ..analysis.outputs import Judge
from ..analysis.ranking import Ranking
from ..analysis.readers import Reader, readers
from ..analysis.statistics import InputMoments
from ..analysis.writing import bias_place, writable, write_bias, write_weight

SHARES = (0.25, 0.5, 0.75)
_SMALLEST = 1e-12


@dataclass(frozen=True)
class Probe:
    """Measures the divergence of the outputs when one group loses channels and its readers make up for them."""

    graph: Graph
    ranking: Ranking
    moments: dict[str, InputMoments]
    judge: Judge
    ridge: float = 1e-3

    def curve(self, group: Group, weights: dict[str, Array]) -> Array:
        """Return the group's error after 0, 1, 2, … rounds: proxy times measured divergence over proxy."""
        proxy = np.asarray(self.ranking.groups[group.name].curve)
        points = sorted({max(1, round(share * (group.width - 1))) for share in SHARES})
        layers = linear_layers(self.graph, self.ranking.channels.context.shapes)
        reading = readers(self.graph, self.ranking.channels, group, layers, self.moments, weights)
        measured = [self.divergence(group, count, reading, layers) for count in points]
        return scaled(proxy, points, measured)

    def divergence(self, group: Group, count: int, reading: Sequence[Reader], layers: dict[str, Linear]) -> float:
        """Zero the first ``count`` rounds at every reader, compensate, run, compare."""
        gone = self.ranking.groups[group.name].order[:count].ravel()
        stays = ~np.isin(group.cells.ravel(), gone)
        copy = self.graph.copy()
        by_node: dict[str, list[Reader]] = {}
        for reader in reading:
            by_node.setdefault(reader.node, []).append(reader)
        for name, parts in by_node.items():
            if name in layers and writable(copy.node(name), layers[name]):
                _edit(copy, layers[name], parts, stays, self.ridge)
        return self.judge.of(copy)


def _edit(graph: Graph, layer: Linear, parts: Sequence[Reader], stays: Array, ridge: float) -> None:
    node = graph.node(layer.node)
    stored = stored_weight(graph, node, layer)
    matrix = layer.matrix(stored).copy()
    shift = np.zeros((matrix.shape[0], matrix.shape[2]))
    for reader in parts:
        if reader.cov is not None and reader.mean is not None:
            rows = np.where(reader.unit >= 0, stays[reader.unit], True)
            matrix[reader.part], shift[reader.part] = compensated(
                reader.weight, reader.cov, reader.mean, rows, max(ridge, reader.ridge)
            )
    write_weight(graph, node, layer, layer.weight(matrix, stored))
    place = bias_place(node, layer)
    old = place[0].inputs[place[1]].array.ravel() if place is not None and place[0].inputs[place[1]].is_constant else 0.0
    write_bias(graph, graph.node(layer.node), layer, old + shift.ravel())


def scaled(proxy: Array, points: Sequence[int], measured: Sequence[float]) -> Array:
    """Multiply a proxy curve by measured over proxy at some points, interpolated in the logarithm; never decreasing."""
    known = np.maximum(proxy[list(points)], _SMALLEST)
    factor = np.log(np.maximum(measured, _SMALLEST) / known)
    curve: Array = np.maximum.accumulate(proxy * np.exp(np.interp(np.arange(len(proxy)), points, factor)))
    return curve
