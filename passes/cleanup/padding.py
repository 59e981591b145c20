"""``fold-padding``: let convolutions pad with zeros themselves instead of reading a padded copy."""

from dataclasses import dataclass
from typing import ClassVar

from ...ir.graph import Graph, Node
from ...ir.shapes import symbolic
from ..analysis.channels.rules.padding import pads
from ..base import Context, Outcome
from ..order import EXACT

_CHANNEL_AXES = 2


@dataclass(frozen=True)
class FoldPadding:
    """Fold a Pad with stored amounts of zeros on spatial axes into the convolutions that read it, if only they do."""

    name: ClassVar[str] = "fold-padding"
    preserves: ClassVar[frozenset[str]] = EXACT

    def run(self, graph: Graph, context: Context) -> Outcome:
        """Rewrite ``graph``; exact."""
        folded = 0
        shapes = symbolic(graph) if any(node.op == "Pad" for node in graph.nodes) else {}
        for node in graph.nodes:
            amounts = _spatial_zeros(node, graph.opset, len(shapes.get(node.outputs[0].name, ())))
            readers = node.outputs[0].consumers
            if not amounts or graph.is_output(node.outputs[0]) or not readers:
                continue
            if all(_pads_itself(reader, node, graph.opset) for reader in readers):
                for reader in readers:
                    own = reader.attribute("pads", graph.opset) or [0] * len(amounts)
                    reader.set_attribute("pads", [int(a) + b for a, b in zip(own, amounts, strict=True)])
                    reader.set_attribute("auto_pad", None)
                    reader.set_input(0, node.inputs[0])
                folded += 1
        if not folded:
            return Outcome(False)
        graph.clean()
        return Outcome(True, (f"{folded} paddings folded into the convolutions after them",), {"folded": folded})


def _spatial_zeros(node: Node, opset: int, rank: int) -> list[int]:
    """Return how many zeros are added before and after each spatial axis; nothing for any other padding or node."""
    if node.op != "Pad" or node.domain or rank <= _CHANNEL_AXES:
        return []
    if str(node.attribute("mode", opset, "constant")) != "constant" or not _zero(node, opset):
        return []
    amounts = pads(node, opset, rank)
    if amounts is None or min(amounts) < 0 or any(amounts[a] or amounts[a + rank] for a in range(_CHANNEL_AXES)):
        return []
    return [*amounts[_CHANNEL_AXES:rank], *amounts[rank + _CHANNEL_AXES :]]


def _zero(node: Node, opset: int) -> bool:
    if len(node.inputs) > 2 and node.inputs[2].name:  # noqa: PLR2004
        return node.inputs[2].is_constant and not node.inputs[2].array.any()
    return not node.attribute("value", opset, 0.0)


def _pads_itself(reader: Node, pad: Node, opset: int) -> bool:
    """Whether a reader is a convolution of the padded tensor with explicit amounts of its own, or none."""
    mode = str(reader.attribute("auto_pad", opset, "NOTSET"))
    alone = sum(tensor == pad.outputs[0] for tensor in reader.inputs) == 1 and reader.inputs[0] == pad.outputs[0]
    return reader.op == "Conv" and not reader.domain and alone and mode in ("NOTSET", "VALID", "")
