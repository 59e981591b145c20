"""``require-gradients``: refuse a model with a node that tuning finds no gradient through, before any other work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ...ir.adjoint.program import Program
from ...ir.feeds import batch_size
from ...ir.graph import Graph
from ...ir.shapes import concrete, input_sizes
from ..analysis.outputs.aims import aims
from ..base import Context, Outcome
from ..order import ALL
from .tuning.weights import tunable


@dataclass(frozen=True)
class RequireGradients:
    """Check every node between the weights and what outputs are made of."""

    name: ClassVar[str] = "require-gradients"
    preserves: ClassVar[frozenset[str]] = ALL

    def run(self, graph: Graph, _context: Context) -> Outcome:
        """Change nothing. Raises UnsupportedOpError that names the node and its operator."""
        shapes = concrete(graph, input_sizes(graph, batch_size(graph, 1)))
        program = Program(graph, shapes, [tensor.name for tensor in tunable(graph)])
        program.backward({aim.tensor: aim.tensor for aim in aims(graph, shapes)})
        return Outcome(False)
