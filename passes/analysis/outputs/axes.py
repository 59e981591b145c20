"""Which axis of a tensor counts the outputs of the layer that made it, followed through nodes that keep it apart."""

from __future__ import annotations

from functools import cached_property
from math import prod

from ....ir.arguments import permutation, softmax_axes
from ....ir.graph import Graph, Node, Tensor
from ....ir.shapes import Shape, concrete, input_sizes
from .softened import softened

_BOUNDED = frozenset({"HardSigmoid", "Hardmax", "LogSoftmax", "Sigmoid", "Softmax", "Tanh"})
_SOFT = ("Hardmax", "LogSoftmax", "Softmax")
_CONVOLUTIONS = frozenset({"Conv", "ConvTranspose", "DeformConv", "QLinearConv"})
_PRODUCTS = frozenset({"Gemm", "MatMul", "QGemm", "QLinearMatMul"})
_RESHAPING = frozenset({"Flatten", "Reshape", "Squeeze", "Unsqueeze"})
_ALIKE = frozenset(
    {
        *(
            "Abs",
            "Add",
            "BatchNormalization",
            "Cast",
            "Ceil",
            "Clip",
            "Concat",
            "DequantizeLinear",
            "Div",
            "Elu",
            "Erf",
        ),
        *("Exp", "Floor", "Gelu", "HardSwish", "Identity", "InstanceNormalization", "LayerNormalization", "LeakyRelu"),
        *("Log", "Max", "Min", "Mish", "Mul", "Neg", "PRelu", "Pad", "Pow", "QuantizeLinear", "Reciprocal", "Relu"),
        *("Resize", "Round", "Selu", "Slice", "Softplus", "Softsign", "Split", "Sqrt", "Sub", "Upsample", "Where"),
        *("AveragePool", "GlobalAveragePool", "GlobalMaxPool", "MaxPool"),
    }
)


class Axes:
    """Follows axes in one graph, at the sizes that it carries."""

    def __init__(self, graph: Graph) -> None:
        self._graph, self._opset = graph, graph.opset

    def rows(self, tensor: Tensor) -> int | None:
        """Return the axis whose entries have scales of their own: one a row of the last layer's weight.

        None where a function with bounds, such as Sigmoid, gives all the same scale, or where it cannot be told.
        """
        return self._followed(tensor, through_bounds=False)

    def classes(self, tensor: Tensor) -> int | None:
        """Return the axis that a softmax works along, or the last axis where that counts the outputs of a layer."""
        found = self._followed(tensor, through_bounds=True)
        softened = self._softened
        if found is None or (not softened and found != len(self._shapes[tensor.name]) - 1):
            return None
        return found

    def probabilities(self, tensor: Tensor) -> int | None:
        """Return the axis along which a softmax makes a tensor probabilities or their logarithms, None if none does."""
        node = tensor.producer
        if node is not None and node.op == "LogSoftmax" and tensor.name in self._shapes:
            along = softmax_axes(node, self._opset, len(self._shapes[tensor.name]))
            return along[0] if len(along) == 1 else None
        found = self._soft(node, tensor) if node is not None else None
        return None if found is None else found[1]

    def _soft(self, node: Node, tensor: Tensor) -> tuple[Tensor, int] | None:
        return softened(self._graph, node, len(self._shapes[tensor.name])) if tensor.name in self._shapes else None

    @cached_property
    def _shapes(self) -> dict[str, Shape]:
        return concrete(self._graph, input_sizes(self._graph, 1))

    def _followed(self, tensor: Tensor, through_bounds: bool) -> int | None:
        passed: list[tuple[Node, Tensor, Tensor]] = []
        self._softened = False
        place = None
        while tensor.name in self._shapes and tensor.producer is not None:
            node = tensor.producer
            if not through_bounds and (node.op in _BOUNDED or self._soft(node, tensor)):
                return None
            place = self._made(node, tensor)
            source = self._source(node, tensor)
            if place is not None or source is None or node.op not in _ALIKE | _BOUNDED | _RESHAPING | {"Transpose"}:
                break
            passed.append((node, source, tensor))
            tensor = source
        for node, source, result in reversed(passed):
            place = None if place is None else self._carried(node, place, source, result)
        return place

    def _made(self, node: Node, tensor: Tensor) -> int | None:
        """Return the axis that counts the outputs of the node, where it is a layer or a softmax."""
        rank, soft = len(self._shapes[tensor.name]), self._soft(node, tensor)
        if soft is not None:
            self._softened = True
            return soft[1]
        if node.op in _SOFT:
            self._softened = True
            return int(node.attribute("axis", self._opset, -1)) % max(rank, 1)
        if node.op in _CONVOLUTIONS and rank > 1:
            return 1
        if node.op in _PRODUCTS and rank > 0:
            return max(rank - 2, 0) if node.inputs[0].is_constant else rank - 1
        return None

    def _source(self, node: Node, tensor: Tensor) -> Tensor | None:
        """Return the input that the node's output has the axes of: the first computed one of its rank."""
        known = [t for t in node.inputs if t.name in self._shapes and not t.is_constant]
        if node.op in _RESHAPING:
            return known[0] if known else None
        rank = len(self._shapes[tensor.name])
        return next((t for t in known if len(self._shapes[t.name]) == rank), None)

    def _carried(self, node: Node, place: int, source: Tensor, result: Tensor) -> int | None:
        """Return where an axis of a node's input lies in its output."""
        was, now = self._shapes[source.name], self._shapes[result.name]
        if node.op == "Transpose":
            return permutation(node, self._opset, len(was)).index(place)
        if node.op not in _RESHAPING:
            return place
        before = prod(was[:place])
        return next((p for p, size in enumerate(now) if size == was[place] and prod(now[:p]) == before), None)
