"""Operators on integer codes, written as the float operators that they stand for, with roundings round them.

That is the form in which channels are followed and layers are solved: onnxruntime writes the first kind as
``QuantFormat.QOperator`` and ``quantize_dynamic`` do, and fuses the second into the same kernels when it loads it. The
results are the same but for the rounding of float sums.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ...ir.graph import Graph, Node, Tensor
from ..analysis.layers.codes import PER_AXIS
from .code_writer import Codes, CodeWriter, standard
from .dynamic_codes import DYNAMIC

_DOMAIN = "com.microsoft"


def to_qdq(graph: Graph) -> int:
    """Rewrite what is known; return how many nodes. Those with computed scales, or scales along other axes, stay."""
    writer = CodeWriter(graph)
    found = [(node, _KNOWN[node.qualified]) for node in graph.nodes if node.qualified in _KNOWN]
    return sum(rewrite(writer, node) for node, rewrite in found)


def _triple(node: Node, start: int) -> Codes:
    return Codes(*node.inputs[start : start + 3])


def _stored(*tensors: Tensor) -> bool:
    """Whether scales and zero points of whole tensors are known, none of them left out."""
    return all(tensor.name and tensor.is_constant and tensor.array.size == 1 for tensor in tensors)


def _convolution(writer: CodeWriter, node: Node) -> bool:
    return _layer(writer, node, "Conv", 0, node.inputs[6:8], node.inputs[8:9])


def _product(writer: CodeWriter, node: Node) -> bool:
    return _layer(writer, node, "MatMul", -1, node.inputs[6:8], [])


def _gemm(writer: CodeWriter, node: Node) -> bool:
    out = [tensor for tensor in node.inputs[7:9] if tensor.name]
    return _layer(writer, node, "Gemm", 0 if node.attributes.get("transB", 0) else 1, out, node.inputs[6:7])


def _layer(writer: CodeWriter, node: Node, op: str, axis: int, out: Sequence[Tensor], bias: Sequence[Tensor]) -> bool:
    """A layer of stored codes; ``axis``: that of its weight's outputs. A bias is codes on the scale of the sums."""
    read, weight = _triple(node, 0), _triple(node, 3)
    bias = [tensor for tensor in bias if tensor.name]
    if not (_stored(*read[1:], *out) and all(t.is_constant for t in (*weight[1:], *bias))):
        return False
    scales = weight.scale.array
    if scales.size > 1 and (writer.graph.opset < PER_AXIS or not weight.codes.is_constant):
        return False
    place = axis % weight.codes.array.ndim if weight.codes.is_constant else None
    if scales.size > 1 and scales.shape != (weight.codes.array.shape[place or 0],):
        return False
    operands = [writer.floats(node, read), writer.floats(node, weight, place)]
    if bias:
        gain = np.float32(node.attributes.get("alpha", 1.0)) if op == "Gemm" else np.float32(1)
        sums = writer.graph.constant(f"{bias[0].name}_scale", np.float32(gain * read.scale.array.reshape(())) * scales)
        operands.append(writer.floats(node, Codes(bias[0], sums, Tensor.absent()), 0))
    return writer.replace(node, op, operands, standard(node), out)


def _merging(op: str) -> Callable[[CodeWriter, Node], bool]:
    def rewrite(writer: CodeWriter, node: Node) -> bool:
        operands = [_triple(node, 0), _triple(node, 3)]
        return _between(writer, node, op, operands, node.inputs[6:8])

    return rewrite


def _unary(op: str) -> Callable[[CodeWriter, Node], bool]:
    def rewrite(writer: CodeWriter, node: Node) -> bool:
        attributes = node.attributes
        counted = int(attributes.get("opset", writer.graph.opset))
        alike = (counted < PER_AXIS) == (writer.graph.opset < PER_AXIS)  # since when a Softmax works along one axis
        if attributes.get("channels_last", 0) or not alike:
            return False
        return _between(writer, node, op, [_triple(node, 0)], node.inputs[3:5])

    return rewrite


def _concat(writer: CodeWriter, node: Node) -> bool:
    operands = [_triple(node, start) for start in range(2, len(node.inputs), 3)]
    return _between(writer, node, "Concat", operands, node.inputs[:2])


def _between(writer: CodeWriter, node: Node, op: str, operands: Sequence[Codes], out: Sequence[Tensor]) -> bool:
    parameters = [tensor for given in operands for tensor in given[1:]]
    if len(out) < 2 or any(len(given) < 3 for given in operands) or not _stored(*parameters, *out):
        return False
    return writer.replace(node, op, [writer.floats(node, given) for given in operands], standard(node), out)


_KNOWN: Mapping[str, Callable[[CodeWriter, Node], bool]] = {
    **DYNAMIC,
    "QLinearConv": _convolution,
    "QLinearMatMul": _product,
    f"{_DOMAIN}.QGemm": _gemm,
    f"{_DOMAIN}.QLinearAdd": _merging("Add"),
    f"{_DOMAIN}.QLinearAveragePool": _unary("AveragePool"),
    f"{_DOMAIN}.QLinearConcat": _concat,
    f"{_DOMAIN}.QLinearGlobalAveragePool": _unary("GlobalAveragePool"),
    f"{_DOMAIN}.QLinearLeakyRelu": _unary("LeakyRelu"),
    f"{_DOMAIN}.QLinearMul": _merging("Mul"),
    f"{_DOMAIN}.QLinearSigmoid": _unary("Sigmoid"),
    f"{_DOMAIN}.QLinearSoftmax": _unary("Softmax"),
}
