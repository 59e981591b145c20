"""A device: a processor of so many MACs a second that takes a microsecond to start an operator."""

from collections.abc import Sequence
from dataclasses import dataclass

from optimise_onnx.backends.latency.asked import Asked
from optimise_onnx.backends.latency.execution import Execution
from optimise_onnx.ir.cost import cost, total
from optimise_onnx.ir.errors import UsageError
from optimise_onnx.ir.graph import Graph


@dataclass(frozen=True)
class Roofline(Asked):
    """Says how long ``batch`` samples take."""

    rate: float
    batch: int

    def times(self, graphs: Sequence[Graph]) -> list[float]:
        """Return seconds."""
        return [1e-6 * len(graph.nodes) + self.batch * total(cost(graph)).macs / self.rate for graph in graphs]


def make(options: str, execution: Execution) -> Roofline:
    """Make the device of ``--device roofline:1e9``."""
    try:
        return Roofline(float(options), execution.batch)
    except ValueError as error:
        raise UsageError(f"'{options}' is no number of MACs a second", hint="--device roofline:1e9") from error
