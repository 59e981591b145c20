"""``require-rules``: refuse a graph with operators that the channel analysis has no rule for."""

from dataclasses import dataclass
from typing import ClassVar

from ...ir.errors import UnsupportedOpError
from ...ir.graph import Graph
from ..analysis.channels.rules.table import has_rule
from ..base import Context, Outcome
from ..order import ALL


@dataclass(frozen=True)
class RequireRules:
    """Go on only if no channels are kept for want of a rule."""

    name: ClassVar[str] = "require-rules"
    preserves: ClassVar[frozenset[str]] = ALL

    def run(self, graph: Graph, context: Context) -> Outcome:
        """Change nothing. Raises UnsupportedOpError for the first such operator."""
        nodes = {node.name: node for node in graph.nodes}
        for _, pin in context.view(graph).channels.pins:
            node = nodes[pin.node]
            if not has_rule(node):
                raise UnsupportedOpError(
                    "the channel analysis has no rule", node_name=pin.node, op_type=pin.op, why=pin.why, hint=pin.hint
                )
        return Outcome(False)
