"""The analytic cost of a streaming design as a device: what its cycles, or its multipliers, are for a graph."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from ...ir.graph import Graph
from ...ir.quantity import Quantity
from ..latency.asked import Asked
from .cost.compare import operating_point
from .cost.tradeoff import latency_cycles, least_multipliers, speed, total_multipliers
from .lowering import lower
from .network import Network

_MULTIPLE = 4  # counts with many divisors have many reuse factors


@dataclass(frozen=True)
class Streaming(Asked):
    """Counts, instead of seconds, what a design takes with ``multipliers`` to share among layers, or with an
    ``interval`` in cycles between samples.
    """

    multipliers: int
    interval: int

    @classmethod
    def of(cls, original: Graph, _quantity: Quantity) -> Self:
        """Take the multipliers and the interval of a graph's default design. Raises LoweringError."""
        network = lower(original)
        point = operating_point(network)
        return cls(total_multipliers(network, point), speed(network, point).interval)

    def times(self, graphs: Sequence[Graph]) -> list[float]:
        """Return each graph's cycles or multipliers. Raises LoweringError for what is not lowered."""
        return [float(self.count(lower(graph))) for graph in graphs]

    @abstractmethod
    def count(self, network: Network) -> int:
        """Count one network's."""

    def multiple(self) -> int:
        """Return the multiple of channels whose designs balance well."""
        return _MULTIPLE

    @property
    def separable(self) -> bool:
        """Layers share the multipliers: one that is cheaper alone only waits for the others."""
        return False


@dataclass(frozen=True)
class Cycles(Streaming):
    """Counts the cycles from a sample to its result at the original's multipliers."""

    def count(self, network: Network) -> int:
        """Count one network's."""
        return latency_cycles(network, self.multipliers).latency


@dataclass(frozen=True)
class Multipliers(Streaming):
    """Counts the multipliers that keep the original's interval."""

    def count(self, network: Network) -> int:
        """Count one network's."""
        return least_multipliers(network, self.interval)
