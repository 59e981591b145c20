"""Products of codes that are made at run time, as quantize_dynamic writes them, and as onnxruntime fuses these."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from ...ir.graph import Node, Tensor
from .code_writer import PER_AXIS, Codes, CodeWriter, standard

_DOMAIN = "com.microsoft"


def _dynamic(op: str, axis: int) -> Callable[[CodeWriter, Node], bool]:
    """Sums of codes that are made at run time, their Cast and the Mul by both scales, as quantize_dynamic writes it."""

    def rewrite(writer: CodeWriter, node: Node) -> bool:
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
        if several and (writer.graph.opset < PER_AXIS or scale.array.shape != along):
            return False
        if scale.array.ndim > len(along):  # it would give the product more axes
            return False
        if several:
            scale = writer.graph.constant(scale.name, scale.array.ravel())
        operands = [
            writer.floats(node, Codes(*made.outputs[:3])),
            writer.floats(node, Codes(codes, scale, zero), place),
        ]
        return writer.replace(last, op, operands, standard(node), [])

    return rewrite


def _rounded(writer: CodeWriter, node: Node) -> bool:
    """A product that rounds what it reads, as onnxruntime fuses it: codes of a range of their own, then the product."""
    read, codes, scale, zero, bias = [*node.inputs, *[Tensor.absent()] * 2][:5]
    parts = [("codes", np.uint8), ("scale", np.float32), ("zero", np.uint8)]
    made = Codes(*(writer.graph.variable(f"{node.name}_{name}", kind) for name, kind in parts))
    weight = _weight(writer, Codes(codes, scale, zero))
    if weight is None:
        return False
    writer.graph.insert("DynamicQuantizeLinear", [read], made, before=node)
    return _summed(writer, node, made, weight, bias)


def _of_codes(writer: CodeWriter, node: Node) -> bool:
    """A product of codes that gives floats, as onnxruntime fuses it."""
    one, other, one_scale, scale, one_zero, zero, bias = [*node.inputs, *[Tensor.absent()] * 3][:7]
    weight = _weight(writer, Codes(other, scale, zero))
    if weight is None or (one_scale.is_constant and one_scale.array.size > 1):
        return False
    return _summed(writer, node, Codes(one, one_scale, one_zero), weight, bias)


def _weight(writer: CodeWriter, given: Codes) -> tuple[Codes, int] | None:
    """Return stored codes with scales of the last axis, or one; None where these are not known, or not so."""
    codes, scale, zero = given
    if not codes.is_constant or not scale.is_constant or (zero.name and not zero.is_constant):
        return None
    columns = codes.array.shape[-1]
    if scale.array.size == 1:
        return given, -1
    return (given, codes.array.ndim - 1) if scale.array.size == columns and writer.graph.opset >= PER_AXIS else None


def _summed(writer: CodeWriter, node: Node, read: Codes, weight: tuple[Codes, int], bias: Tensor) -> bool:
    operands = [writer.floats(node, read), writer.floats(node, *weight)]
    if bias.name:
        result = node.outputs[0]
        product = writer.graph.variable(f"{result.name}_product", np.float32)
        writer.graph.insert("MatMul", operands, [product], before=node)
        return writer.replace(node, "Add", [product, bias], {}, [])
    return writer.replace(node, "MatMul", operands, {}, [])


def _attention(writer: CodeWriter, node: Node) -> bool:
    """Attention with a product of codes inside."""
    read, codes, bias, read_scale, scale, mask, read_zero, zero, past = [*node.inputs, *[Tensor.absent()] * 5][:9]
    weight = _weight(writer, Codes(codes, scale, zero))
    if weight is None or past.name:
        return False
    operands = [writer.floats(node, Codes(read, read_scale, read_zero)), writer.floats(node, *weight), bias]
    masked = [mask] if mask.name else []
    writer.graph.insert("Attention", [*operands, *masked], node.outputs, standard(node), before=node, domain=_DOMAIN)
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


DYNAMIC: Mapping[str, Callable[[CodeWriter, Node], bool]] = {
    "ConvInteger": _dynamic("Conv", 0),
    "MatMulInteger": _dynamic("MatMul", -1),
    f"{_DOMAIN}.DynamicQuantizeMatMul": _rounded,
    f"{_DOMAIN}.MatMulIntegerToFloat": _of_codes,
    f"{_DOMAIN}.QAttention": _attention,
}
"""What writes each operator anew, by its name; it returns whether it could."""
