"""``require-gradients``: refuse a model with a node that tuning finds no gradient through, before any other work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ...ir.errors import UnsupportedOpError
from ...ir.feeds import batch_size
from ...ir.graph import Graph
from ...ir.shapes import concrete, input_sizes
from ..analysis.gradients.onnx_objective import OnnxDifferentiator
from ..analysis.outputs.aims import aims
from ..base import Context, Outcome
from ..order import ALL
from .tuning.weights import tunable


@dataclass(frozen=True)
class RequireGradients:
    """Check every node between the weights and what outputs are made of."""

    name: ClassVar[str] = "require-gradients"
    preserves: ClassVar[frozenset[str]] = ALL

    def run(self, graph: Graph, context: Context) -> Outcome:
        """Change nothing. Raises UnsupportedOpError that names the node and its operator."""
        if context.calibration is None:
            return Outcome(False)  # nothing is tuned
        shapes = concrete(graph, input_sizes(graph, batch_size(graph, 1)))
        weights, aimed = [tensor.name for tensor in tunable(graph)], [aim.tensor for aim in aims(graph, shapes)]
        if not weights:
            raise UnsupportedOpError("there is nothing to tune: no layer has weights of float32")
        (context.differentiator or OnnxDifferentiator()).check(graph, shapes, weights, aimed)
        return Outcome(False)
