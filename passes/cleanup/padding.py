"""``fold-padding``: let convolutions pad with zeros themselves instead of reading a padded copy."""

from dataclasses import dataclass
from typing import ClassVar

from ...ir.arguments import padding
from ...ir.graph import Graph, Node
from ...ir.shapes import symbolic
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
    added = padding(node, opset, rank)
    if added is None or added.mode != "constant" or added.value != 0:
        return []
    if min(map(min, added.widths)) < 0 or any(axis < _CHANNEL_AXES for axis in added.axes):
        return []
    return [width[side] for side in (0, 1) for width in added.widths[_CHANNEL_AXES:]]


def _pads_itself(reader: Node, pad: Node, opset: int) -> bool:
    """Whether a reader is a convolution of the padded tensor with explicit amounts of its own, or none."""
    mode = str(reader.attribute("auto_pad", opset, "NOTSET"))
    alone = sum(tensor == pad.outputs[0] for tensor in reader.inputs) == 1 and reader.inputs[0] == pad.outputs[0]
    return reader.op == "Conv" and not reader.domain and alone and mode in ("NOTSET", "VALID", "")
