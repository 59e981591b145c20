"""What a layer of the pruned graph should compute: the original's output, or the original block's output minus the
shortcut as it is now (residual-aware targets, He, Zhang, Sun, ICCV 2017)."""

from collections.abc import Mapping
from dataclasses import dataclass

from ...ir.graph import Graph, Node, Tensor
from ...ir.shapes import Shape
from ..analysis.layers.linear import Linear
from ..analysis.layers.rounding import past_rounding
from ..analysis.layers.writing import bias_place


@dataclass(frozen=True)
class RegressionTarget:
    """``dense``: tensor of the original graph to aim at; ``minus``: tensor of the pruned graph to subtract, or ''."""

    dense: str
    minus: str = ""


def end_of(graph: Graph, node: Node, layer: Linear) -> Tensor:
    """Return a layer's output with its bias."""
    place = bias_place(graph, node, layer)
    return place[0].outputs[0] if place is not None else node.outputs[0]


def target_of(graph: Graph, end: Tensor, final: Mapping[str, bool], shapes: Mapping[str, Shape]) -> RegressionTarget:
    """Aim at a layer's output ``end``, or past an addition whose other operand will not change any more, and past the
    rounding before it.

    ``final`` says of every layer that may be solved whether that is done; ``shapes`` are those of ``graph``.
    """
    shown = past_rounding(graph, end)
    readers = shown.consumers
    if len(readers) != 1 or readers[0].op != "Add" or graph.is_output(shown):
        return RegressionTarget(end.name)
    other = next((t for t in readers[0].inputs if t != shown), None)
    block = readers[0].outputs[0]
    widened = shapes.get(block.name) != shapes.get(end.name)
    if other is None or other.is_constant or widened or not _settled(other, final):
        return RegressionTarget(end.name)
    return RegressionTarget(block.name, other.name)


def _settled(tensor: Tensor, final: Mapping[str, bool]) -> bool:
    """Whether every layer a tensor depends on is final; all layers before a final one are."""
    stack, seen = [tensor], set()
    while stack:
        producer = stack.pop().producer
        if producer is None or producer.name in seen or final.get(producer.name):
            continue
        if producer.name in final:
            return False
        seen.add(producer.name)
        stack += [t for t in (*producer.inputs, *producer.captures()) if not t.is_constant]
    return True
