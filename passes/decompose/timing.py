"""Whether a rewritten layer runs faster than the layer, in the runner at hand."""

from collections.abc import Mapping

import numpy as np

from ...ir.graph import Graph
from ...ir.runner import Runner
from ...ir.shapes import Shape
from ..analysis.layers.linear import Linear, stored_weight

_SECONDS = 0.03


class Stopwatch:
    """Times one layer's nodes alone, on random values for one sample."""

    def __init__(self, runner: Runner, shapes: Mapping[str, Shape], rng: np.random.Generator) -> None:
        self._runner, self._shapes, self._rng = runner, shapes, rng

    def ratio(self, before: Graph, after: Graph, layer: Linear) -> float:
        """Return how long the nodes of ``after`` that ``before`` has not, with the layer's own, take of the layer's."""
        new = {node.name for node in after.nodes} - {node.name for node in before.nodes}
        dtype = stored_weight(before, before.node(layer.node), layer).dtype
        feeds = {layer.input: self._rng.standard_normal(self._shapes[layer.input]).astype(dtype)}
        parts = [(before, {layer.node}), (after, new | {layer.node})]
        reads = {layer.input: [feeds[layer.input]]}
        sessions = [self._runner.deployed(graph.part(nodes, reads, [layer.output])) for graph, nodes in parts]
        return self._runner.latency(sessions, [feeds, feeds], _SECONDS).ratio[1]
