"""The analytic cost of a streaming design as a device: what its cycles, or its multipliers, are for a graph."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from ...ir.graph import Graph
from ...ir.timing import Comparison, Timer
from .cost.compare import operating_point
from .cost.tradeoff import latency_cycles, least_multipliers, speed, total_multipliers
from .lowering import lower

_MULTIPLE = 4  # counts with many divisors have many reuse factors

Quantity = Literal["hls-latency", "hls-multipliers"]


@dataclass(frozen=True)
class Streaming:
    """Counts, instead of seconds, the cycles from a sample to its result with ``multipliers`` to share among layers,
    or the multipliers at an ``interval`` in cycles between samples.
    """

    quantity: Quantity
    multipliers: int
    interval: int

    @staticmethod
    def of(original: Graph, quantity: Quantity) -> "Streaming":
        """Take the multipliers and the interval of a graph's default design. Raises LoweringError."""
        network = lower(original)
        point = operating_point(network)
        return Streaming(quantity, total_multipliers(network, point), speed(network, point).interval)

    def times(self, graphs: Sequence[Graph]) -> list[float]:
        """Return each graph's cycles or multipliers. Raises LoweringError for what is not lowered."""
        return [float(self._of(graph)) for graph in graphs]

    def multiple(self) -> int:
        """Return the multiple of channels whose designs balance well."""
        return _MULTIPLE

    @property
    def separable(self) -> bool:
        """Layers share the multipliers: one that is cheaper alone only waits for the others."""
        return False

    def layers(self, _graph: Graph) -> Mapping[str, float]:
        """Return nothing: multipliers go where the work is, so layers count by MACs."""
        return {}

    def compare(self, before: Graph, after: Graph) -> Comparison:
        """Hold two figures against each other."""
        return Comparison.exact(*self.times([before, after]))

    def forecast(self, _graph: Graph, _others: Sequence[Graph]) -> Timer:
        """Return itself: it runs nothing."""
        return self

    def _of(self, graph: Graph) -> int:
        network = lower(graph)
        if self.quantity == "hls-latency":
            return latency_cycles(network, self.multipliers).latency
        return least_multipliers(network, self.interval)
