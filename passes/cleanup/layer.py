"""A node that multiplies an activation by a stored weight, seen as one array (groups, outputs, inputs, taps)."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

from ...ir.geometry import geometry
from ...ir.graph import Array, Graph, Node, Tensor
from ..analysis.layers.linear import adds_two, is_stored, stored_array


@dataclass(frozen=True)
class Layer:
    """Conv, ConvTranspose, Gemm, or MatMul with a stored matrix: ``gain * matrix`` over channels, plus ``bias``.

    ``operand``: which input is the activation. ``axis_in``, ``axis_out``: channel axes of the activation and of the
    output, counted from the back (-1 is the last). ``inputs_first``: how the weight is stored. ``uneven``: a constant
    input channel does not add the same at every position, because of padding or overlaps.
    """

    graph: Graph
    node: Node
    operand: int
    axis_in: int
    axis_out: int
    groups: int = 1
    inputs_first: bool = False
    uneven: bool = False
    gain: float = 1.0

    @property
    def weight(self) -> Tensor:
        """The stored factor."""
        return self.node.inputs[1 - self.operand]

    @property
    def writable(self) -> bool:
        """Whether the factor can be replaced: it is stored itself, not seen through a cast or dequantisation."""
        return self.weight.is_constant

    @property
    def shared(self) -> bool:
        """Whether others read the factor too, inside subgraphs or as an output of the model."""
        return len(self.weight.consumers) > 1 or self.graph.is_output(self.weight)

    @property
    def source(self) -> Tensor:
        """The activation."""
        return self.node.inputs[self.operand]

    @property
    def matrix(self) -> Array:
        """The weight as (groups, outputs a group, inputs a group, taps); a view where possible."""
        stored = stored_array(self.weight, self.graph.opset)
        shape = stored.shape
        parts = stored.reshape(self.groups, shape[0] // self.groups, shape[1], prod(shape[2:]))
        return parts.swapaxes(1, 2) if self.inputs_first else parts

    def set_matrix(self, matrix: Array) -> Tensor:
        """Store another matrix of the same shape; a weight with other readers is copied. Return the weight."""
        old = self.weight
        parts = matrix.swapaxes(1, 2) if self.inputs_first else matrix
        stored = parts.reshape(old.array.shape).astype(old.dtype, copy=False)
        return own(self.graph, self.node, 1 - self.operand, stored)

    @property
    def outputs(self) -> int:
        """Number of output channels."""
        groups, count, _, _ = self.matrix.shape
        return int(groups * count)

    @property
    def biased(self) -> bool:
        """Whether the operator takes a bias itself."""
        return self.node.op != "MatMul"

    @property
    def inputs(self) -> int:
        """Number of input channels."""
        groups, _, count, _ = self.matrix.shape
        return int(groups * count)

    @property
    def bias(self) -> Array | None:
        """What is added to each output channel (float64); None when it is computed or differs within a channel.

        MatMul has no bias of its own: zeros, or None for a matrix on the left, whose output may be a mere vector.
        """
        tensor = self._bias_tensor()
        if tensor is None and not self.biased and self.operand == 1:
            return None
        if tensor is None:
            return np.zeros(self.outputs)
        stored = stored_array(tensor, self.graph.opset) if is_stored(tensor) else None
        values = None if stored is None else spread(stored, -1, self.outputs, 2)
        return None if values is None else values * self._beta()

    @property
    def adds_bias(self) -> bool:
        """Whether more can be added to the bias: it is known, and it and the weight are stored themselves."""
        tensor = self._bias_tensor()
        return self.writable and (tensor is None or tensor.is_constant) and self.bias is not None

    def set_bias(self, values: Array) -> None:
        """Store a bias, only where :attr:`bias` is known; a MatMul gets an Add behind it."""
        if not self.biased:
            self._insert_add(values)
            return
        if self.node.op == "Gemm":
            self.node.set_attribute("beta", None)
        values = values.astype(self.weight.dtype)
        if self._bias_tensor() is None:
            bias = self.graph.constant(f"{self.node.name}_bias", values)
            self.node.set_inputs([*self.node.inputs[:2], bias])
        else:
            own(self.graph, self.node, 2, values)

    def add_bias(self, values: Array) -> None:
        """Add to the bias, only where it is known; for a MatMul, to the constant of a following Add when it has one."""
        if self.biased:
            present = self.bias
            assert present is not None
            self.set_bias(present + values)
            return
        following = added_constant(self.graph, self.node, self.axis_out, self.outputs)
        if following is None:
            self._insert_add(values)
            return
        add, index, present = following
        own(self.graph, add, index, (present + values).astype(self.weight.dtype))

    def _beta(self) -> float:
        return float(self.node.attribute("beta", self.graph.opset, 1.0))

    def _bias_tensor(self) -> Tensor | None:
        given = self.node.inputs[2:]
        return given[0] if given and given[0].name else None

    def _insert_add(self, values: Array) -> None:
        graph, node = self.graph, self.node
        result = node.outputs[0]
        product = graph.variable(f"{result.name}_product", result.dtype)
        node.set_outputs([product])
        nodes = graph.nodes
        behind = nodes.index(node) + 1
        bias = graph.constant(f"{node.name}_bias", values.astype(self.weight.dtype))
        graph.insert("Add", [product, bias], [result], before=nodes[behind] if behind < len(nodes) else None)


def own(graph: Graph, node: Node, index: int, array: Array) -> Tensor:
    """Give a constant input of a node another value, without changing it for others; return the constant."""
    old = node.inputs[index]
    if len(old.consumers) == 1 and not graph.is_output(old):
        graph.set_array(old, array)
        return old
    new = graph.constant(f"{node.name}_{old.name}", array)
    node.set_input(index, new)
    return new


def vector(tensor: Tensor, axis: int, size: int, rank: int | None = None) -> Array | None:
    """Return a stored operand as one value a channel (float64, shape (size,)), if it broadcasts along ``axis`` only.

    ``axis`` counts from the back. ``rank``: of the other operand, which must not grow; unknown: the least it can be.
    """
    return spread(tensor.array, axis, size, rank) if tensor.is_constant else None


def spread(array: Array, axis: int, size: int, rank: int | None = None) -> Array | None:
    """Return what :func:`vector` does, of a stored value."""
    if array.dtype.kind not in "fV":
        return None
    if array.ndim > (-axis if rank is None else rank):
        return None
    length = array.shape[axis] if array.ndim >= -axis else 1
    if array.size != length or length not in (1, size):
        return None
    return np.broadcast_to(array.astype(np.float64).ravel(), (size,))


def added_constant(
    graph: Graph, node: Node, axis: int, size: int, rank: int | None = None
) -> tuple[Node, int, Array] | None:
    """Return the sum with a stored vector that alone reads a node: the node, the constant's place, its values."""
    result = node.outputs[0]
    if graph.is_output(result) or len(result.consumers) != 1 or not adds_two(result.consumers[0]):
        return None
    add = result.consumers[0]
    index = 1 if add.inputs[0] == result else 0
    values = vector(add.inputs[index], axis, size, rank)
    return None if values is None or add not in graph.nodes else (add, index, values)


def layer_of(graph: Graph, node: Node, sighted: bool = False) -> Layer | None:
    """View a node as a Layer; None when it is no such operator or its weight is not a stored float matrix.

    ``sighted``: take also a weight that is seen through casts and dequantisations, which can only be read.
    """
    if node.domain or node.op not in ("Conv", "ConvTranspose", "Gemm", "MatMul"):
        return None
    stored = [is_stored(tensor) if sighted else tensor.is_constant for tensor in node.inputs[:2]]
    if stored[0] == stored[1]:
        return None
    weight = stored_array(node.inputs[0 if stored[0] else 1], graph.opset)
    if weight.dtype.kind not in "fV":
        return None
    if node.op == "MatMul":
        return _matmul(graph, node, weight, stored[0])
    if stored[0]:
        return None
    opset = graph.opset
    if node.op == "Gemm":
        axis_in = -2 if node.attribute("transA", opset, 0) else -1
        first = not node.attribute("transB", opset, 0)
        return Layer(graph, node, 0, axis_in, -1, inputs_first=first, gain=float(node.attribute("alpha", opset, 1.0)))
    groups = int(node.attribute("group", opset, 1))
    axis = 1 - weight.ndim
    transposed = node.op == "ConvTranspose"
    padded = geometry(node, opset, weight.shape[2:]).may_pad
    return Layer(graph, node, 0, axis, axis, groups, transposed, transposed or padded)


def _matmul(graph: Graph, node: Node, weight: Array, left: bool) -> Layer | None:
    if weight.ndim != 2:
        return None
    return Layer(graph, node, 1, -2, -2) if left else Layer(graph, node, 0, -1, -1, inputs_first=True)
