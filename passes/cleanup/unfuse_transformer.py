"""Operators that onnxruntime's transformer optimiser writes, in simpler ones that compute the same."""

from collections.abc import Callable

import numpy as np

from ...ir.graph import Graph, Node, Tensor

_DOMAIN = "com.microsoft"
_NORM = 17  # the operator set that LayerNormalization came with
_SPLIT = 13  # since when Split takes its sizes as an input
_EPSILON = 1e-12


def unfuse_transformer(graph: Graph) -> int:
    """Take apart what has weights inside: return how many."""
    found = [(node, _APART[node.qualified]) for node in graph.nodes if node.qualified in _APART]
    return sum(apart(graph, node) for node, apart in found)


def _attention(graph: Graph, node: Node) -> bool:
    """The product with all three weights, then MultiHeadAttention; one with a cache, or a mask of more axes, stays."""
    inputs, outputs = node.inputs, node.outputs
    given = [tensor.name for tensor in inputs]
    weight = inputs[1]
    if any(given[4:]) or not weight.is_constant or len(given) < 3 or graph.opset < _SPLIT:
        return False
    if any(tensor.name for tensor in outputs[1:]) or node.attribute("do_rotary", graph.opset, 0):
        return False
    mask = inputs[3] if len(given) > 3 and given[3] else None
    if mask is not None and len(mask.shape or (None,) * 3) > 2:
        return False
    sizes = list(node.attribute("qkv_hidden_sizes", graph.opset, None) or [weight.array.shape[1] // 3] * 3)
    product, packed = (graph.variable(f"{node.name}_{name}", node.outputs[0].dtype) for name in ("product", "packed"))
    graph.insert("MatMul", inputs[:2], [product], before=node)
    graph.insert("Add", [product, inputs[2]], [packed], before=node)
    parts = [graph.variable(f"{node.name}_{name}", node.outputs[0].dtype) for name in ("queries", "keys", "values")]
    split = graph.constant(f"{node.name}_sizes", np.asarray(sizes, np.int64))
    graph.insert("Split", [packed, split], parts, {"axis": -1}, before=node)
    kept = {name: value for name, value in node.attributes.items() if name in _KEPT}
    masked = [Tensor.absent(), mask] if mask is not None else []
    graph.insert("MultiHeadAttention", [*parts, *masked], outputs[:1], kept, before=node, domain=_DOMAIN)
    graph.remove(node)
    return True


_KEPT = ("num_heads", "scale", "mask_filter_value", "unidirectional")


def _skip_norm(graph: Graph, node: Node) -> bool:
    """A sum of two or three, which may be an output too, and its norm."""
    inputs, outputs = node.inputs, node.outputs
    if graph.opset < _NORM or any(tensor.name for tensor in outputs[1:3]) or not _normed(inputs):
        return False
    total = (
        outputs[3]
        if len(outputs) > 3 and outputs[3].name
        else graph.variable(f"{node.name}_sum", node.outputs[0].dtype)
    )
    extra = inputs[4] if len(inputs) > 4 and inputs[4].name else None
    first = total if extra is None else graph.variable(f"{node.name}_part", node.outputs[0].dtype)
    graph.insert("Add", inputs[:2], [first], before=node)
    if extra is not None:
        graph.insert("Add", [first, extra], [total], before=node)
    vectors = [tensor for tensor in inputs[2:4] if tensor.name]
    attributes = {"axis": -1, "epsilon": float(node.attribute("epsilon", graph.opset, _EPSILON))}
    graph.insert("LayerNormalization", [total, *vectors], outputs[:1], attributes, before=node)
    graph.remove(node)
    return True


def _normed(inputs: list[Tensor]) -> bool:
    return all(tensor.is_constant for tensor in inputs[2:4] if tensor.name)


def _bias_gelu(graph: Graph, node: Node) -> bool:
    summed = graph.variable(f"{node.name}_sum", node.outputs[0].dtype)
    graph.insert("Add", node.inputs, [summed], before=node)
    graph.insert("Gelu", [summed], node.outputs, before=node, domain=_DOMAIN)
    graph.remove(node)
    return True


_APART: dict[str, Callable[[Graph, Node], bool]] = {
    f"{_DOMAIN}.Attention": _attention,
    f"{_DOMAIN}.BiasGelu": _bias_gelu,
    f"{_DOMAIN}.SkipLayerNormalization": _skip_norm,
}
