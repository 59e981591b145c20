"""What a device is that can be asked how long whole models take, and nothing else."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

from ...ir.graph import Graph
from ...ir.timing import Comparison, Timer
from .alignment import alignment


class Asked(ABC):
    """A device of which only :meth:`times` is known; the rest follows, or can be said better by those that know."""

    @abstractmethod
    def times(self, graphs: Sequence[Graph]) -> list[float]:
        """Return the seconds of one run of each. Raises InvalidModelError when one does not run there."""

    def multiple(self) -> int:
        """Return the multiple of channels that pays there, from a few small convolutions."""
        return alignment(self)

    @property
    def separable(self) -> bool:
        """Layers run one after another."""
        return True

    def layers(self, _graph: Graph) -> Mapping[str, float]:
        """Return nothing: no layers are told apart."""
        return {}

    def compare(self, before: Graph, after: Graph) -> Comparison:
        """Hold two figures against each other."""
        return Comparison.exact(*self.times([before, after]))

    def forecast(self, _graph: Graph, _others: Sequence[Graph]) -> Timer:
        """Return the device itself."""
        return self
