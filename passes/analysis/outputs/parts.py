"""The parts of outputs: the tensors of the last nodes that compute, by which a model is held against another.

An output often joins tensors of different scale (boxes in pixels, scores below one), or decides by them (suppression,
the k largest), and then a small error shows as another count, order or index. So outputs are followed back through
nodes that only move, round or compare values, and past nodes that decide, to what is continuous.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ....ir.attributes import LOOPS, RANDOM
from ....ir.graph import Graph, Node, Tensor
from .axes import Axes

DECIDING = frozenset(
    {
        *("ArgMax", "ArgMin", "Compress", "Hardmax", "Multinomial", "NonMaxSuppression", "NonZero", "TopK", "Unique"),
        *("BatchedNMSDynamic_TRT", "BatchedNMS_TRT", "BeamSearch", "EfficientNMS_TRT", "GreedySearch", "Sampling"),
    }
)
"""Operators whose outputs jump, or change their shape, where their inputs change a little."""

MOVING = frozenset({"Concat", "Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze"})
_STEPS = frozenset({"Cast", "Ceil", "Floor", "QuantizeLinear", "Round", "Sign"})
_SIZES = frozenset({"Shape", "Size"})
_COMPARES = frozenset({"And", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Not", "Or", "Xor"})
_JOINING = _COMPARES | {"Concat"}


@dataclass(frozen=True)
class Part:
    """``tensor``, made by an ``op``, is one of those that ``output`` is judged by.

    ``rows``: the axis whose entries have scales of their own, None where all share one. ``decided``: the operator that
    has decided something that the output depends on, '' where none has. ``classes``: the axis along which a softmax has
    made it probabilities, or their logarithms; None where it holds other numbers.
    """

    output: str
    tensor: str
    op: str
    rows: int | None = None
    decided: str = ""
    classes: int | None = None


def parts(graph: Graph, *, behind: bool = False, axes: Axes | None = None) -> tuple[Part, ...]:
    """Return the parts of every output, in order; an output that is computed by no node is its own part.

    ``behind``: take what is computed behind decisions too, for when the decisions themselves are held as they were.
    ``axes`` of the graph, where they are known already.
    """
    walk, axes = _Walk(graph, behind), axes or Axes(graph)
    found = []
    for output in graph.outputs:
        for tensor in list(dict.fromkeys(walk.sources(output))) or [output]:
            op = tensor.producer.op if tensor.producer is not None else ""
            decided, classes = walk.decided.get(output, ""), axes.probabilities(tensor)
            found.append(Part(output.name, tensor.name, op, axes.rows(tensor), decided, classes))
    return tuple(found)


def deciding(graph: Graph) -> frozenset[str]:
    """Name the nodes that decide."""
    return frozenset(node.name for node in graph.nodes if decides(node))


def decides(node: Node) -> bool:
    """Whether a node decides, or a loop goes on from what is decided inside its body."""
    return node.op in DECIDING or (
        node.op in LOOPS and any(_chooses(inner) for body in node.bodies() for inner in body)
    )


def _chooses(node: Node) -> bool:
    return node.op in DECIDING or any(_chooses(inner) for body in node.bodies() for inner in body)


class _Walk:
    """Follows outputs back. ``decided`` names, of every tensor that a decision reaches, the operator that decides.

    Tensors that depend on no input, or on its shape alone, such as weights that are dequantised, are no parts.
    """

    def __init__(self, graph: Graph, behind: bool) -> None:
        self._behind, self._outer = behind, set(graph.nodes)
        self._deciding = {node for node in graph.nodes if decides(node)}
        self.decided: dict[Tensor, str] = {}
        self._moves = set(graph.inputs)
        for node in graph.nodes:
            if node.op in RANDOM or (node.op not in _SIZES and not self._moves.isdisjoint(_reads(node))):
                self._moves.update(node.outputs)
            reads = (self.decided[t] for t in _reads(node) if t in self.decided)
            by = node.op if node in self._deciding else next(reads, "")
            if by:
                self.decided |= dict.fromkeys(node.outputs, by)

    def sources(self, output: Tensor) -> Iterator[Tensor]:
        """Yield the last tensors before an output that are computed, in order; and what decisions are made from."""
        stack, seen = [(output, False)], set[tuple[Tensor, bool]]()
        while stack:
            tensor, found = stack.pop()
            node = tensor.producer
            if (tensor, found) in seen or tensor not in self._moves or node is None or node not in self._outer:
                continue
            seen.add((tensor, found))
            ahead = self._ahead(tensor, node)
            last = not found and self._behind and tensor in self.decided and not self._looked_through(node)
            if ahead is None or last:
                yield tensor
            stack += [(each, found or last) for each in reversed(ahead or [])]

    def _ahead(self, tensor: Tensor, node: Node) -> list[Tensor] | None:
        """Return what to follow instead of a tensor, or besides one behind a decision; None where it is computed."""
        if node in self._deciding:
            return list(dict.fromkeys(_reads(node)))
        if self._looked_through(node):
            return node.inputs if node.op in _JOINING else node.inputs[:1]
        if tensor not in self.decided:
            return None
        return [t for t in _reads(node) if t in self.decided or not self._behind]

    def _looked_through(self, node: Node) -> bool:
        return node in self._deciding or (not node.domain and node.op in MOVING | _STEPS | _COMPARES)


def _reads(node: Node) -> list[Tensor]:
    return [*node.inputs, *node.captures()]
