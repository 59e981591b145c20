"""Operators on integer codes, written as the float operators that they stand for, with roundings round them.

That is the form in which channels are followed and layers are solved: onnxruntime writes the first kind as
``QuantFormat.QOperator`` and ``quantize_dynamic`` do, and fuses the second into the same kernels when it loads it. The
results are the same but for the rounding of float sums.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ...ir.graph import Graph, Node, Tensor

_DOMAIN = "com.microsoft"
_PER_AXIS = 13  # the operator set since which DequantizeLinear takes scales along an axis
_ONLY_OURS = ("channels_last", "opset")


class _Codes(NamedTuple):
    """Codes with their scale and zero point."""

    codes: Tensor
    scale: Tensor
    zero: Tensor


class _Writer:
    """Writes nodes before one that goes; equal dequantisations are one node, so that a value is rounded once."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._known: dict[tuple[str, str, str], Tensor] = {}

    def floats(self, node: Node, given: _Codes, axis: int | None = None) -> Tensor:
        """Dequantise, along ``axis`` where there are several scales."""
        codes, scale, zero = given
        key = codes.name, scale.name, zero.name
        if key in self._known:
            return self._known[key]
        many = scale.is_constant and scale.array.size > 1
        if scale.is_constant and not many:
            scale = self._formed(scale, ())
        if zero.name and zero.is_constant:
            zero = self._formed(zero, scale.array.shape if scale.is_constant else ())
        inputs = [codes, scale, zero] if zero.name else [codes, scale]
        out = self.graph.variable(f"{codes.name}_float", scale.dtype or np.float32)
        self.graph.insert("DequantizeLinear", inputs, [out], {"axis": axis} if many else {}, before=node)
        self._known[key] = out
        return out

    def _formed(self, tensor: Tensor, form: tuple[int, ...]) -> Tensor:
        array = np.broadcast_to(tensor.array.reshape(-1) if form else tensor.array.reshape(-1)[:1].reshape(()), form)
        return tensor if tensor.array.shape == form else self.graph.constant(tensor.name, array)

    def replace(
        self, node: Node, op: str, operands: Sequence[Tensor], attributes: Mapping[str, Any], out: Sequence[Tensor]
    ) -> bool:
        """Write ``op`` in place of ``node``; ``out``: scale and zero point that its result is rounded to, or none."""
        result = node.outputs[0]
        made = self.graph.variable(f"{result.name}_float", np.float32) if out else result
        self.graph.insert(op, operands, [made], dict(attributes), before=node)
        if out:
            parameters = [self._formed(tensor, ()) for tensor in out]
            self.graph.insert("QuantizeLinear", [made, *parameters], [result], before=node)
        self.graph.remove(node)
        return True


def to_qdq(graph: Graph) -> int:
    """Rewrite what is known; return how many nodes. Those with computed scales, or scales along other axes, stay."""
    writer = _Writer(graph)
    found = [(node, _KNOWN[node.qualified]) for node in graph.nodes if node.qualified in _KNOWN]
    return sum(rewrite(writer, node) for node, rewrite in found)


def _triple(node: Node, start: int) -> _Codes:
    return _Codes(*node.inputs[start : start + 3])


def _stored(*tensors: Tensor) -> bool:
    """Whether scales and zero points of whole tensors are known, none of them left out."""
    return all(tensor.name and tensor.is_constant and tensor.array.size == 1 for tensor in tensors)


def _kept(node: Node) -> dict[str, Any]:
    return {name: value for name, value in node.attributes.items() if name not in _ONLY_OURS}


def _convolution(writer: _Writer, node: Node) -> bool:
    return _layer(writer, node, "Conv", 0, node.inputs[6:8], node.inputs[8:9])


def _product(writer: _Writer, node: Node) -> bool:
    return _layer(writer, node, "MatMul", -1, node.inputs[6:8], [])


def _gemm(writer: _Writer, node: Node) -> bool:
    out = [tensor for tensor in node.inputs[7:9] if tensor.name]
    return _layer(writer, node, "Gemm", 0 if node.attributes.get("transB", 0) else 1, out, node.inputs[6:7])


def _layer(writer: _Writer, node: Node, op: str, axis: int, out: Sequence[Tensor], bias: Sequence[Tensor]) -> bool:
    """A layer of stored codes; ``axis``: that of its weight's outputs. A bias is codes on the scale of the sums."""
    read, weight = _triple(node, 0), _triple(node, 3)
    bias = [tensor for tensor in bias if tensor.name]
    if not (_stored(*read[1:], *out) and all(t.is_constant for t in (*weight[1:], *bias))):
        return False
    scales = weight.scale.array
    if scales.size > 1 and (writer.graph.opset < _PER_AXIS or not weight.codes.is_constant):
        return False
    place = axis % weight.codes.array.ndim if weight.codes.is_constant else None
    if scales.size > 1 and scales.shape != (weight.codes.array.shape[place or 0],):
        return False
    operands = [writer.floats(node, read), writer.floats(node, weight, place)]
    if bias:
        gain = np.float32(node.attributes.get("alpha", 1.0)) if op == "Gemm" else np.float32(1)
        sums = writer.graph.constant(f"{bias[0].name}_scale", np.float32(gain * read.scale.array.reshape(())) * scales)
        operands.append(writer.floats(node, _Codes(bias[0], sums, Tensor.absent()), 0))
    return writer.replace(node, op, operands, _kept(node), out)


def _merging(op: str) -> Callable[[_Writer, Node], bool]:
    def rewrite(writer: _Writer, node: Node) -> bool:
        operands = [_triple(node, 0), _triple(node, 3)]
        return _between(writer, node, op, operands, node.inputs[6:8])

    return rewrite


def _unary(op: str) -> Callable[[_Writer, Node], bool]:
    def rewrite(writer: _Writer, node: Node) -> bool:
        attributes = node.attributes
        counted = int(attributes.get("opset", writer.graph.opset))
        alike = (counted < _PER_AXIS) == (writer.graph.opset < _PER_AXIS)  # since when a Softmax works along one axis
        if attributes.get("channels_last", 0) or not alike:
            return False
        return _between(writer, node, op, [_triple(node, 0)], node.inputs[3:5])

    return rewrite


def _concat(writer: _Writer, node: Node) -> bool:
    operands = [_triple(node, start) for start in range(2, len(node.inputs), 3)]
    return _between(writer, node, "Concat", operands, node.inputs[:2])


def _between(writer: _Writer, node: Node, op: str, operands: Sequence[_Codes], out: Sequence[Tensor]) -> bool:
    parameters = [tensor for given in operands for tensor in given[1:]]
    if len(out) < 2 or any(len(given) < 3 for given in operands) or not _stored(*parameters, *out):
        return False
    return writer.replace(node, op, [writer.floats(node, given) for given in operands], _kept(node), out)


def _dynamic(op: str, axis: int) -> Callable[[_Writer, Node], bool]:
    """Sums of codes that are made at run time, their Cast and the Mul by both scales, as quantize_dynamic writes it."""

    def rewrite(writer: _Writer, node: Node) -> bool:
        made = node.inputs[0].producer
        scaled = _scaled(node, made) if made is not None and made.op == "DynamicQuantizeLinear" else None
        if made is None or scaled is None or node.inputs[2:3] != made.outputs[2:3] or not node.inputs[1].is_constant:
            return False
        last, scale = scaled
        codes, zero = node.inputs[1], node.inputs[3] if len(node.inputs) > 3 else Tensor.absent()
        place = axis % codes.array.ndim
        behind = 0 if op == "MatMul" else codes.array.ndim - 2  # axes of the product behind that of its outputs
        along = (codes.array.shape[place], *[1] * behind)
        several = scale.array.size > 1
        if several and (writer.graph.opset < _PER_AXIS or scale.array.shape != along):
            return False
        if scale.array.ndim > len(along):  # it would give the product more axes
            return False
        if several:
            scale = writer.graph.constant(scale.name, scale.array.ravel())
        operands = [
            writer.floats(node, _Codes(*made.outputs[:3])),
            writer.floats(node, _Codes(codes, scale, zero), place),
        ]
        return writer.replace(last, op, operands, _kept(node), [])

    return rewrite


def _rounded(writer: _Writer, node: Node) -> bool:
    """A product that rounds what it reads, as onnxruntime fuses it: codes of a range of their own, then the product."""
    read, codes, scale, zero, bias = [*node.inputs, *[Tensor.absent()] * 2][:5]
    parts = [("codes", np.uint8), ("scale", np.float32), ("zero", np.uint8)]
    made = _Codes(*(writer.graph.variable(f"{node.name}_{name}", kind) for name, kind in parts))
    weight = _weight(writer, _Codes(codes, scale, zero))
    if weight is None:
        return False
    writer.graph.insert("DynamicQuantizeLinear", [read], made, before=node)
    return _summed(writer, node, made, weight, bias)


def _of_codes(writer: _Writer, node: Node) -> bool:
    """A product of codes that gives floats, as onnxruntime fuses it."""
    one, other, one_scale, scale, one_zero, zero, bias = [*node.inputs, *[Tensor.absent()] * 3][:7]
    weight = _weight(writer, _Codes(other, scale, zero))
    if weight is None or (one_scale.is_constant and one_scale.array.size > 1):
        return False
    return _summed(writer, node, _Codes(one, one_scale, one_zero), weight, bias)


def _weight(writer: _Writer, given: _Codes) -> tuple[_Codes, int] | None:
    """Return stored codes with scales of the last axis, or one; None where these are not known, or not so."""
    codes, scale, zero = given
    if not codes.is_constant or not scale.is_constant or (zero.name and not zero.is_constant):
        return None
    columns = codes.array.shape[-1]
    if scale.array.size == 1:
        return given, -1
    return (given, codes.array.ndim - 1) if scale.array.size == columns and writer.graph.opset >= _PER_AXIS else None


def _summed(writer: _Writer, node: Node, read: _Codes, weight: tuple[_Codes, int], bias: Tensor) -> bool:
    operands = [writer.floats(node, read), writer.floats(node, *weight)]
    if bias.name:
        result = node.outputs[0]
        product = writer.graph.variable(f"{result.name}_product", np.float32)
        writer.graph.insert("MatMul", operands, [product], before=node)
        return writer.replace(node, "Add", [product, bias], {}, [])
    return writer.replace(node, "MatMul", operands, {}, [])


def _attention(writer: _Writer, node: Node) -> bool:
    """Attention with a product of codes inside."""
    read, codes, bias, read_scale, scale, mask, read_zero, zero, past = [*node.inputs, *[Tensor.absent()] * 5][:9]
    weight = _weight(writer, _Codes(codes, scale, zero))
    if weight is None or past.name:
        return False
    operands = [writer.floats(node, _Codes(read, read_scale, read_zero)), writer.floats(node, *weight), bias]
    masked = [mask] if mask.name else []
    writer.graph.insert("Attention", [*operands, *masked], node.outputs, _kept(node), before=node, domain=_DOMAIN)
    writer.graph.remove(node)
    return True


def _scaled(node: Node, made: Node) -> tuple[Node, Tensor] | None:
    """Return the Mul that turns integer sums into floats, and the scale of the weight."""
    cast = _only_reader(node, "Cast")
    last = None if cast is None else _only_reader(cast, "Mul")
    if cast is None or last is None:
        return None
    both = next((tensor.producer for tensor in last.inputs if tensor != cast.outputs[0]), None)
    if both is None or both.op != "Mul" or made.outputs[1] not in both.inputs:
        return None
    scale = next((tensor for tensor in both.inputs if tensor.is_constant), None)
    return None if scale is None else (last, scale)


def _only_reader(node: Node, op: str) -> Node | None:
    readers = node.outputs[0].consumers
    return readers[0] if len(readers) == 1 and readers[0].op == op else None


_KNOWN: Mapping[str, Callable[[_Writer, Node], bool]] = {
    "ConvInteger": _dynamic("Conv", 0),
    "MatMulInteger": _dynamic("MatMul", -1),
    "QLinearConv": _convolution,
    "QLinearMatMul": _product,
    f"{_DOMAIN}.DynamicQuantizeMatMul": _rounded,
    f"{_DOMAIN}.MatMulIntegerToFloat": _of_codes,
    f"{_DOMAIN}.QAttention": _attention,
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
