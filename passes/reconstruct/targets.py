"""What a layer of the pruned graph should compute: the original's output, or the original block's output minus the
shortcut as it is now (residual-aware targets, He, Zhang, Sun, ICCV 2017)."""

from dataclasses import dataclass

from ...ir.graph import Graph, Node, Tensor
from ..analysis.linear import Linear
from ..analysis.writing import bias_place

_OPEN = ("Conv", "ConvTranspose", "Gemm", "MatMul")


@dataclass(frozen=True)
class Target:
    """``dense``: tensor of the original graph to aim at; ``minus``: tensor of the pruned graph to subtract, or ''."""

    dense: str
    minus: str = ""


def target_of(node: Node, layer: Linear, graph: Graph, done: set[str]) -> Target:
    """Aim at the layer's own output with its bias, or past an addition whose other operand will not change any more.

    ``done`` names the layers that are final.
    """
    place = bias_place(node, layer)
    end = place[0].outputs[0] if place is not None else node.outputs[0]
    readers = end.consumers
    if len(readers) != 1 or readers[0].op != "Add" or graph.is_output(end):
        return Target(end.name)
    other = next((t for t in readers[0].inputs if t != end), None)
    if other is None or other.is_constant or not _settled(other, done):
        return Target(end.name)
    return Target(readers[0].outputs[0].name, other.name)


def _settled(tensor: Tensor, done: set[str]) -> bool:
    """Whether every layer a tensor depends on is final."""
    stack, seen = [tensor], set()
    while stack:
        producer = stack.pop().producer
        if producer is None or producer.name in seen or producer.name in done:
            continue
        seen.add(producer.name)
        if producer.op in _OPEN:
            return False
        stack += [t for t in producer.inputs if not t.is_constant]
    return True
