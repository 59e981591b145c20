"""``require-rules``: refuse a graph with operators that the channel analysis has no rule for."""

from dataclasses import dataclass
from typing import ClassVar

from ...ir.errors import UnsupportedOpError
from ...ir.graph import Graph
from ..analysis.channels.labels import Pin
from ..analysis.channels.rules.table import SHOWN, UNKNOWN, has_rule
from ..base import Context, Outcome
from ..order import ALL

SEQUENCES = (
    "ConcatFromSequence", "SequenceAt", "SequenceConstruct", "SequenceEmpty", "SequenceErase", "SequenceInsert",
    "SequenceLength", "SequenceMap", "SplitToSequence",
)  # fmt: skip


@dataclass(frozen=True)
class RequireRules:
    """Go on only if no channels are kept for want of a rule."""

    name: ClassVar[str] = "require-rules"
    preserves: ClassVar[frozenset[str]] = ALL

    def run(self, graph: Graph, context: Context) -> Outcome:
        """Change nothing. Raises UnsupportedOpError for the first such operator, or one beyond the standard's."""
        pins = {pin.node: pin for _, pin in reversed(context.view(graph).channels.pins)}
        for node in graph.nodes:
            if has_rule(node) and not _shapeless(pins.get(node.name)):
                continue
            if node.domain or node.has_subgraphs or node.op in SEQUENCES or node.name in pins:
                found = pins.get(node.name, Pin(node.name, node.op, "nothing is assumed about what it does"))
                raise UnsupportedOpError(
                    "the channel analysis has no rule",
                    node_name=node.name,
                    op_type=node.op,
                    why=found.why,
                    hint=found.hint,
                )
        return Outcome(False)


def _shapeless(pin: Pin | None) -> bool:
    return pin is not None and pin.why in (UNKNOWN, SHOWN)
