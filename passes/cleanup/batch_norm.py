"""``fold-batch-norm``: put batch norms and other per-channel scales and shifts into the weights next to them.

``scale · (W x + b) + shift = (scale W) x + (scale b + shift)``, and, where no zero padding lies between,
``W (scale · x + shift) + b = (W scale) x + (b + W shift)``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ...ir.graph import Array, Dim, Graph, Node, Tensor
from ...ir.shapes import symbolic
from ..base import Context, Outcome
from ..order import EXACT
from .affine import AFFINE, Axis, affine, inference_norm, rescale_norm, source_of
from .layer import Layer, layer_of, own, vector

Shapes = Mapping[str, tuple[Dim, ...]]


@dataclass(frozen=True)
class FoldBatchNorm:
    """Fold BatchNormalization and constant Mul, Div, Add and Sub into Conv, ConvTranspose, Gemm, MatMul or each other.

    Computed in float64 and stored in the weight's own type. Quantised weights are left alone, and those that others
    read too: a copy would cost more than the node. Biases are copied.
    """

    name: ClassVar[str] = "fold-batch-norm"
    preserves: ClassVar[frozenset[str]] = EXACT

    def run(self, graph: Graph, context: Context) -> Outcome:
        """Rewrite ``graph`` until nothing changes."""
        if not any(node.op in AFFINE for node in graph.nodes):
            return Outcome(False)
        shapes = symbolic(graph)
        behind = ahead = 0
        while True:
            back = sum(_into_producer(graph, node, shapes) for node in graph.nodes)
            front = sum(_into_readers(graph, node, shapes) for node in graph.nodes)
            if not back and not front:
                break
            behind, ahead = behind + back, ahead + front
        if not behind and not ahead:
            return Outcome(False)
        graph.clean()
        notes = (f"folded {behind} nodes into the weights before them, {ahead} into the weights after them",)
        return Outcome(True, notes, {"behind": behind, "ahead": ahead})


def _into_producer(graph: Graph, node: Node, shapes: Shapes) -> bool:
    source = source_of(node) if node.op in AFFINE and not node.domain else None
    producer = source.producer if source is not None else None
    if source is None or producer is None or not _read_once(graph, source) or producer not in graph.nodes:
        return False
    if producer.op == "BatchNormalization":
        return _into_norm(graph, node, producer, shapes)
    if producer.op == "Add":
        return _into_sum(graph, node, producer, shapes)
    before = layer_of(graph, producer)
    return before is not None and _into_layer(graph, node, before, shapes)


def _read_once(graph: Graph, tensor: Tensor) -> bool:
    return len(tensor.consumers) == 1 and not graph.is_output(tensor)


def _rank(shapes: Shapes, tensor: Tensor) -> int | None:
    return len(shapes[tensor.name]) if tensor.name in shapes else None


def _output_axis(before: Layer, shapes: Shapes) -> Axis:
    fixed = {"Gemm": 2, "MatMul": _rank(shapes, before.node.outputs[0])}
    return Axis(before.axis_out, before.outputs, fixed.get(before.node.op, before.weight.array.ndim))


def _take_over(graph: Graph, node: Node, producer: Node) -> None:
    """Remove a node whose work its producer now does."""
    result = node.outputs[0]
    graph.remove(node)
    producer.set_outputs([result])


def _into_layer(graph: Graph, node: Node, before: Layer, shapes: Shapes) -> bool:
    found = affine(graph, node, before.node.outputs[0], _output_axis(before, shapes))
    bias = before.bias
    if found is None or bias is None or (node.op == "Add" and not before.biased):
        return False
    scale, shift = found
    matrix = _scaled(before, scale, outputs=True)
    added = bias * scale + shift
    if matrix is None or not _fits(added, before):
        return False
    _take_over(graph, node, before.node)
    before.set_matrix(matrix)
    if added.any() or bias.any():
        before.set_bias(added)
    return True


def _scaled(owner: Layer, scale: Array, outputs: bool) -> Array | None:
    """Return the matrix with one factor an output or an input; None when it leaves the range of its type, or would have
    to be stored once more for this node.
    """
    groups, rows, columns, _ = owner.matrix.shape
    factors = scale.reshape((groups, rows, 1, 1) if outputs else (groups, 1, columns, 1))
    if (scale == 1).all():
        return owner.matrix
    if owner.shared:
        return None
    product = owner.matrix * factors
    return product if _fits(product, owner) else None


def _fits(values: Array, owner: Layer) -> bool:
    with np.errstate(over="ignore"):
        return bool(np.isfinite(values.astype(owner.weight.dtype)).all())


def _into_norm(graph: Graph, node: Node, norm: Node, shapes: Shapes) -> bool:
    rank = _rank(shapes, norm.inputs[0])
    known = inference_norm(graph, norm)
    if known is None or rank is None:
        return False
    found = affine(graph, node, norm.outputs[0], Axis(1 - rank, len(known[0]), rank))
    if found is None:
        return False
    _take_over(graph, node, norm)
    rescale_norm(graph, norm, *found)
    return True


def _into_sum(graph: Graph, node: Node, add: Node, shapes: Shapes) -> bool:
    """Fold into a MatMul with its bias: the Add behind it keeps the shift."""
    product = source_of(add)
    producer = product.producer if product is not None else None
    before = layer_of(graph, producer) if producer is not None else None
    if product is None or before is None or not _read_once(graph, product):
        return False
    if before.biased or before.bias is None:
        return False
    axis = _output_axis(before, shapes)
    index = 1 if add.inputs[0] == product else 0
    bias = vector(add.inputs[index], axis.place, axis.size, axis.rank)
    found = affine(graph, node, add.outputs[0], axis)
    if bias is None or found is None:
        return False
    scale, shift = found
    matrix = _scaled(before, scale, outputs=True)
    added = bias * scale + shift
    if matrix is None or not _fits(added, before):
        return False
    _take_over(graph, node, add)
    before.set_matrix(matrix)
    own(graph, add, index, added.astype(before.weight.dtype))
    return True


def _into_readers(graph: Graph, node: Node, shapes: Shapes) -> bool:
    source = source_of(node) if node.op in AFFINE and not node.domain else None
    if source is None or graph.is_output(node.outputs[0]):
        return False
    readers = _readers(graph, node)
    if not readers:
        return False
    place, size = readers[0].axis_in, readers[0].inputs
    dims = shapes.get(source.name, ())
    if len(dims) < -place or dims[place] != size or any((r.axis_in, r.inputs) != (place, size) for r in readers):
        return False
    found = affine(graph, node, source, Axis(place, size, len(dims)))
    if found is None or not all(_absorbs(reader, *found) for reader in readers):
        return False
    for reader in readers:
        _absorb(reader, *found)
    graph.replace_uses(node.outputs[0], source)
    graph.remove(node)
    return True


def _readers(graph: Graph, node: Node) -> list[Layer]:
    """Return every reader of the node's output as a Layer; none when one is something else, or reads it twice."""
    result = node.outputs[0]
    found = [layer_of(graph, reader) for reader in result.consumers]
    outer = graph.nodes
    known = [reader for reader in found if reader is not None and reader.node in outer and _reads_only(reader, result)]
    return known if len(known) == len(found) else []


def _reads_only(reader: Layer, tensor: Tensor) -> bool:
    """Whether a layer multiplies a tensor by its weight, and reads it nowhere else."""
    reads = [*reader.node.inputs, *reader.node.captures()]
    return reader.source == tensor and reads.count(tensor) == 1


def _absorbs(reader: Layer, scale: Array, shift: Array) -> bool:
    if shift.any() and (reader.uneven or reader.bias is None or not _fits(_carried(reader, shift), reader)):
        return False
    return _scaled(reader, scale, outputs=False) is not None


def _absorb(reader: Layer, scale: Array, shift: Array) -> None:
    if shift.any():
        reader.add_bias(_carried(reader, shift))
    matrix = _scaled(reader, scale, outputs=False)
    assert matrix is not None
    reader.set_matrix(matrix)


def _carried(reader: Layer, shift: Array) -> Array:
    """Return what a shift of the inputs adds to each output."""
    groups, _, columns, _ = reader.matrix.shape
    added: Array = reader.gain * (reader.matrix * shift.reshape(groups, 1, columns, 1)).sum((2, 3)).ravel()
    return added
