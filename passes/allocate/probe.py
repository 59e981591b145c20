"""Error curves of groups: the ranking's cheap proxy, scaled by what removing channels really does to the outputs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ...ir.graph import Array, Graph
from ..analysis.channels.groups import Group
from ..analysis.channels.ranking import Ranking
from ..analysis.channels.readers import Reader, readers
from ..analysis.channels.repaired import RIDGE, editable_layers, without
from ..analysis.layers.linear import Linear
from ..analysis.statistics.input_moments import InputMoments
from ..analysis.statistics.judge import Judge

PROBES = 48
"""Inside points of all curves together: where many groups compete, what single points are off by averages out."""
MOST_POINTS = 3
_SMALLEST = 1e-12


@dataclass(frozen=True)
class Probe:
    """Measures the divergence of the outputs when one group loses channels and its readers make up for them.

    ``points``: at how many counts of channels, evenly spread, a curve is measured.
    """

    graph: Graph
    ranking: Ranking
    moments: Mapping[str, InputMoments]
    judge: Judge
    layers: dict[str, Linear]
    points: int = MOST_POINTS
    ridge: float = RIDGE
    weights: dict[str, Array] = field(default_factory=dict)

    @staticmethod
    def of(graph: Graph, ranking: Ranking, moments: Mapping[str, InputMoments], judge: Judge) -> "Probe":
        """Make a probe of the graph that was ranked; of many groups, fewer points each are measured."""
        points = min(MOST_POINTS, max(1, PROBES // max(len(ranking.groups), 1)))
        return Probe(graph, ranking, moments, judge, editable_layers(graph, ranking.channels), points)

    def curve(self, group: Group, *, emptied: bool = False) -> Array:
        """Return the group's error after 0, 1, 2, … rounds: proxy times measured divergence over proxy.

        With ``emptied`` the loss of all rounds is measured too.
        """
        proxy = np.asarray(self.ranking.groups[group.name].curve)
        shares = np.arange(1, self.points + 1) / (self.points + 1)
        points = {max(1, round(share * (group.width - 1))) for share in shares} | ({group.width} if emptied else set())
        reading = readers(self.graph, self.ranking.channels, group, self.layers, self.moments, self.weights)
        return scaled(proxy, sorted(points), [self.divergence(group, count, reading) for count in sorted(points)])

    def divergence(self, group: Group, count: int, reading: Sequence[Reader]) -> float:
        """Zero the first ``count`` rounds at every reader, compensate where the weights may change, run, compare.

        ``count`` may be the group's width. Only what follows the first reader runs.
        """
        stays = ~np.isin(group.cells.ravel(), self.ranking.groups[group.name].order[:count])
        channels = self.ranking.channels
        return self.judge.of(without(self.graph, channels, group, stays, self.layers, reading, self.ridge))


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
