"""``bind-groups`` and ``free-groups``: whether grouped convolutions lose whole groups, or channels of every group."""

from dataclasses import dataclass
from typing import ClassVar

from ...ir.graph import Graph
from ..analysis.channels.rules.convolution import BOUND, is_bound
from ..base import Context, Outcome
from ..order import EXACT

UNIT, GROUP = "unit", "group"
_GROUPED = ("Conv", "ConvTranspose")


@dataclass(frozen=True)
class BindGroups:
    """Let grouped convolutions lose whole groups from here on, as in Group Fisher (Liu, Zhang, Kuang et al., ICML
    2021, arXiv 2108.00708), instead of equally many channels of each group: it is noted at their nodes.
    """

    name: ClassVar[str] = "bind-groups"
    preserves: ClassVar[frozenset[str]] = EXACT

    def run(self, graph: Graph, _context: Context) -> Outcome:
        """Note it at every grouped convolution; of a depthwise one it holds anyway."""
        grouped = [node for node in graph.nodes if node.op in _GROUPED and node.attribute("group", graph.opset, 1) > 1]
        bound = [node for node in grouped if not is_bound(graph, node)]
        for node in bound:
            graph.metadata[node.name] = {**graph.metadata.get(node.name, {}), BOUND: GROUP}
        return Outcome(bool(bound), (f"{len(bound)} convolutions lose whole groups",) if bound else ())


@dataclass(frozen=True)
class FreeGroups:
    """Take back what ``bind-groups`` has noted."""

    name: ClassVar[str] = "free-groups"
    preserves: ClassVar[frozenset[str]] = EXACT

    def run(self, graph: Graph, _context: Context) -> Outcome:
        """Remove the notes."""
        bound = [name for name, notes in graph.metadata.items() if BOUND in notes]
        for name in bound:
            graph.metadata[name] = {key: text for key, text in graph.metadata[name].items() if key != BOUND}
        return Outcome(bool(bound))
