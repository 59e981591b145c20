"""``require-gradients``: refuse a model with a node that tuning finds no gradient through, before any other work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ...ir.graph import Graph
from ..base import Context, Outcome
from ..order import ALL
from .tuning.onnx_objective import OnnxDifferentiator


@dataclass(frozen=True)
class RequireGradients:
    """Check every node between the weights and what outputs are made of."""

    name: ClassVar[str] = "require-gradients"
    preserves: ClassVar[frozenset[str]] = ALL

    def run(self, graph: Graph, context: Context) -> Outcome:
        """Change nothing. Raises UnsupportedOpError that names the node and its operator."""
        (context.differentiator or OnnxDifferentiator()).check(graph)
        return Outcome(False)
