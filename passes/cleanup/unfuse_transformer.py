"""Operators that onnxruntime's transformer optimiser writes, in simpler ones that compute the same."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache

import numpy as np

from ...ir.graph import Graph, Node, Tensor
from ...ir.handles import Dim
from ...ir.shapes import symbolic
from .written_norm import OLDEST, write_norm, write_sum

_Dims = Callable[[], Mapping[str, tuple[Dim, ...]]]
"""The dimensions of tensors, inferred when first asked for."""
_DOMAIN = "com.microsoft"
_SPLIT = 13  # since when Split takes its sizes as an input


def unfuse_transformer(graph: Graph) -> int:
    """Take apart what has weights inside: return how many."""
    found = [(node, _APART[node.qualified]) for node in graph.nodes if node.qualified in _APART]
    dims = cache(lambda: symbolic(graph))
    return sum(apart(graph, node, dims) for node, apart in found)


def _attention(graph: Graph, node: Node, dims: _Dims) -> bool:
    """The product with all three weights, then MultiHeadAttention; one with a cache, or another mask, stays."""
    inputs, outputs = node.inputs, node.outputs
    given = [tensor.name for tensor in inputs]
    width = _columns(inputs[1])
    if any(given[4:]) or width is None or graph.opset < OLDEST:
        return False
    if any(tensor.name for tensor in outputs[1:]) or node.attribute("do_rotary", graph.opset, 0):
        return False
    mask = inputs[3] if len(given) > 3 and given[3] else None
    if mask is not None and not _understood(mask, graph, dims):
        return False
    sizes = list(node.attribute("qkv_hidden_sizes", graph.opset, None) or [width // 3] * 3)
    packed = graph.variable(f"{node.name}_product", node.outputs[0].dtype)
    graph.insert("MatMul", inputs[:2], [packed], before=node)
    if any(given[2:3]):
        product, packed = packed, graph.variable(f"{node.name}_packed", node.outputs[0].dtype)
        graph.insert("Add", [product, inputs[2]], [packed], before=node)
    parts = [graph.variable(f"{node.name}_{name}", node.outputs[0].dtype) for name in ("queries", "keys", "values")]
    _split(graph, node, packed, parts, sizes)
    kept = {name: value for name, value in node.attributes.items() if name in _KEPT}
    masked = [Tensor.absent(), mask] if mask is not None else []
    graph.insert("MultiHeadAttention", [*parts, *masked], outputs[:1], kept, before=node, domain=_DOMAIN)
    graph.remove(node)
    return True


def _split(graph: Graph, node: Node, packed: Tensor, parts: Sequence[Tensor], sizes: Sequence[int]) -> None:
    """Split along the last axis."""
    if graph.opset < _SPLIT:
        graph.insert("Split", [packed], parts, {"axis": -1, "split": list(sizes)}, before=node)
    else:
        lengths = graph.constant(f"{node.name}_sizes", np.asarray(sizes, np.int64))
        graph.insert("Split", [packed, lengths], parts, {"axis": -1}, before=node)


def _columns(weight: Tensor) -> int | None:
    """Return how many columns a stored weight has, of floats or of codes."""
    made = weight.producer
    stored = made.inputs[0] if made is not None and made.op == "DequantizeLinear" and not made.domain else weight
    return int(stored.array.shape[1]) if stored.is_constant and stored.array.ndim > 1 else None


def _understood(mask: Tensor, graph: Graph, dims: _Dims) -> bool:
    """Whether MultiHeadAttention reads a mask alike: one of two axes, or surely one length a sample, not two."""
    form = mask.shape or dims().get(mask.name, ())
    batches = {tensor.shape[0] for tensor in graph.inputs if tensor.shape and tensor != mask}
    return len(form) == 2 or (len(form) == 1 and form[0] is not None and form[0] in batches)


def _group_query(graph: Graph, node: Node, _dims: _Dims) -> bool:
    """Queries, keys and values that lie side by side are split."""
    packed, *others = node.inputs
    width = _width(packed)
    if any(tensor.name for tensor in others[:2]) or width is None or graph.opset < OLDEST:
        return False
    count, served = (int(node.attribute(name, graph.opset)) for name in ("num_heads", "kv_num_heads"))
    sizes = np.array([count, served, served]) * (width // (count + 2 * served))
    parts = [graph.variable(f"{node.name}_{name}", packed.dtype) for name in ("queries", "keys", "values")]
    _split(graph, node, packed, parts, sizes.tolist())
    node.set_inputs([*parts, *others[2:]])
    return True


def _width(tensor: Tensor) -> int | None:
    """Return the length of the last axis, where it is declared, or the layer in front says so."""
    declared = (tensor.shape or (None,))[-1]
    if isinstance(declared, int) or tensor.producer is None or tensor.producer.op not in ("Add", "MatMul"):
        return declared if isinstance(declared, int) else None
    stored = [each.array.shape for each in tensor.producer.inputs if each.is_constant and each.array.ndim]
    return int(stored[0][-1]) if stored else None


def _embedding(graph: Graph, node: Node, _dims: _Dims) -> bool:
    """Rows of up to three tables, their sum, which may be an output too, and its norm; a count of the mask stays."""
    inputs, outputs = [*node.inputs, *[Tensor.absent()] * 9][:9], [*node.outputs, *[Tensor.absent()] * 3][:3]
    tokens, segments, words, places, kinds, scale, shift, _, given = inputs
    if graph.opset < OLDEST or (outputs[1].name and (outputs[1].consumers or graph.is_output(outputs[1]))):
        return False
    rows = [(words, tokens), (places, given if given.name else counted(graph, node, tokens)), (kinds, segments)]
    found = []
    for table, index in rows if segments.name else rows[:2]:
        found.append(graph.variable(f"{node.name}_rows", table.dtype))
        graph.insert("Gather", [table, index], found[-1:], {"axis": 0}, before=node)
    total = outputs[2] if outputs[2].name else graph.variable(f"{node.name}_sum", words.dtype)
    write_sum(graph, node, found, total)
    write_norm(graph, node, total, [scale, shift], outputs[0], words.dtype)
    graph.remove(node)
    return True


def counted(graph: Graph, node: Node, tokens: Tensor) -> Tensor:
    """Number the positions of (batch, positions)."""
    length, count, places = (graph.variable(f"{node.name}_{name}", np.int64) for name in ("shape", "count", "places"))
    graph.insert("Shape", [tokens], [length], before=node)
    zero, one = (graph.constant(f"{node.name}_number", np.asarray(value, np.int64)) for value in (0, 1))
    graph.insert("Gather", [length, one], [count], before=node)
    graph.insert("Range", [zero, count, one], [places], before=node)
    return places


_KEPT = ("num_heads", "scale", "mask_filter_value", "unidirectional")


def _skip_norm(graph: Graph, node: Node, _dims: _Dims) -> bool:
    """A sum of two or three, which may be an output too, and its norm."""
    inputs, outputs = node.inputs, node.outputs
    if graph.opset < OLDEST or any(tensor.name for tensor in outputs[1:3]) or not _normed(inputs):
        return False
    total = (
        outputs[3]
        if len(outputs) > 3 and outputs[3].name
        else graph.variable(f"{node.name}_sum", node.outputs[0].dtype)
    )
    extra = [tensor for tensor in inputs[4:5] if tensor.name]
    write_sum(graph, node, [*inputs[:2], *extra], total)
    vectors = [tensor for tensor in inputs[2:4] if tensor.name]
    write_norm(graph, node, total, vectors, outputs[0], vectors[0].dtype)
    graph.remove(node)
    return True


def _normed(inputs: list[Tensor]) -> bool:
    return all(tensor.is_constant for tensor in inputs[2:4] if tensor.name)


def _bias_gelu(graph: Graph, node: Node, _dims: _Dims) -> bool:
    summed = graph.variable(f"{node.name}_sum", node.outputs[0].dtype)
    graph.insert("Add", node.inputs, [summed], before=node)
    graph.insert("Gelu", [summed], node.outputs, before=node, domain=_DOMAIN)
    graph.remove(node)
    return True


_APART: dict[str, Callable[[Graph, Node, _Dims], bool]] = {
    f"{_DOMAIN}.Attention": _attention,
    f"{_DOMAIN}.BiasGelu": _bias_gelu,
    f"{_DOMAIN}.EmbedLayerNormalization": _embedding,
    f"{_DOMAIN}.GroupQueryAttention": _group_query,
    f"{_DOMAIN}.SkipLayerNormalization": _skip_norm,
}
