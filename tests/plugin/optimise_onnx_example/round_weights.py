"""A pass: weights on a grid."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from optimise_onnx.ir.graph import Graph
from optimise_onnx.passes.base import Context, Outcome


@dataclass(frozen=True)
class RoundWeights:
    """Round every stored float tensor of two axes or more to ``bits`` bits, by its own largest entry."""

    bits: int = 8
    name: ClassVar[str] = "round-weights"

    def run(self, graph: Graph, context: Context) -> Outcome:
        """Rewrite the constants in place."""
        weights = [t for t in graph.constants() if t.array.dtype == np.float32 and t.array.ndim > 1]
        for tensor in weights:
            step = np.float32(np.abs(tensor.array).max(initial=0.0) / (2 ** (self.bits - 1) - 1) or 1.0)
            graph.set_array(tensor, np.round(tensor.array / step) * step)
        return Outcome(bool(weights), (f"{len(weights)} weights rounded to {self.bits} bits",))
