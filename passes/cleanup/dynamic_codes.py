"""Products of codes that are made at run time, as quantize_dynamic writes them, and as onnxruntime fuses these."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import onnx

from ...ir.graph import Node, Tensor
from ..analysis.layers.codes import PER_AXIS
from .code_writer import Codes, CodeWriter, standard
from .unfuse_transformer import counted
from .written_norm import OLDEST, write_norm, write_sum

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
        result = last.outputs[0]
        writer.replace(last, op, operands, standard(node), [])
        return op != "MatMul" or _summed_apart(writer, result)

    return rewrite


def _summed_apart(writer: CodeWriter, result: Tensor) -> bool:
    """Write the Add of a bias as Sum: onnxruntime would join Add with the product, and run that in floats."""
    add = _only_reader(result, "Add")
    if add is not None and not add.domain and any(tensor.is_constant for tensor in add.inputs):
        writer.graph.insert("Sum", add.inputs, add.outputs, before=add)
        writer.graph.remove(add)
    return True


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
        return writer.replace(node, "Sum", [product, bias], {}, [])
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
    cast = _only_reader(node.outputs[0], "Cast")
    last = None if cast is None else _only_reader(cast.outputs[0], "Mul")
    if cast is None or last is None:
        return None
    both = next((tensor.producer for tensor in last.inputs if tensor != cast.outputs[0]), None)
    if both is None or both.op != "Mul" or made.outputs[1] not in both.inputs:
        return None
    scale = next((tensor for tensor in both.inputs if tensor.is_constant), None)
    return None if scale is None else (last, scale)


def _only_reader(result: Tensor, op: str) -> Node | None:
    readers = result.consumers
    return readers[0] if len(readers) == 1 and readers[0].op == op else None


def _embedding(writer: CodeWriter, node: Node) -> bool:
    """Rows of up to three tables of codes, their sum, its norm, and where it is asked for how long each mask is."""
    graph, given = writer.graph, [*node.inputs, *[Tensor.absent()] * 18][:18]
    tokens, segments, *codes = given[:7]
    mask, scales, zeros = given[7], given[8:13], given[13:18]
    stored = [tensor for tensor in (*scales, *zeros, *codes) if tensor.name]
    lengths = node.outputs[1] if len(node.outputs) > 1 and node.outputs[1].name else None
    counts = lengths is not None and bool(lengths.consumers or graph.is_output(lengths))
    if graph.opset < OLDEST or not all(tensor.is_constant for tensor in stored) or (counts and not mask.name):
        return False
    if counts and lengths is not None:
        _lengths(writer, node, mask, lengths)
    index = [tokens, counted(graph, node, tokens), segments]
    rows = [_rows(writer, node, *each) for each in zip(index, codes, scales, zeros, strict=False) if each[0].name]
    total = graph.variable(f"{node.name}_sum", np.float32)
    write_sum(graph, node, rows, total)
    norm = [_floats(writer, *each) for each in zip(codes[3:], scales[3:], zeros[3:], strict=True)]
    write_norm(graph, node, total, norm, node.outputs[0], np.dtype(np.float32))
    graph.remove(node)
    return True


def _rows(writer: CodeWriter, node: Node, index: Tensor, codes: Tensor, scale: Tensor, zero: Tensor) -> Tensor:
    found = writer.graph.variable(f"{codes.name}_rows", codes.dtype)
    writer.graph.insert("Gather", [codes, index], [found], {"axis": 0}, before=node)
    return writer.floats(node, Codes(found, scale, zero))


def _floats(writer: CodeWriter, codes: Tensor, scale: Tensor, zero: Tensor) -> Tensor:
    """Store a vector of codes as floats."""
    shift = zero.array.astype(np.float32) if zero.name else np.float32(0)
    return writer.graph.constant(f"{codes.name}_float", (codes.array.astype(np.float32) - shift) * scale.array)


def _lengths(writer: CodeWriter, node: Node, mask: Tensor, out: Tensor) -> None:
    """Count the ones of every sample's mask."""
    whole = writer.graph.variable(f"{node.name}_mask", np.int32)
    writer.graph.insert("Cast", [mask], [whole], {"to": onnx.TensorProto.INT32}, before=node)
    if writer.graph.opset < PER_AXIS:  # since then its axes are an input
        writer.graph.insert("ReduceSum", [whole], [out], {"axes": [1], "keepdims": 0}, before=node)
        return
    along = writer.graph.constant(f"{node.name}_axis", np.array([1]))
    writer.graph.insert("ReduceSum", [whole, along], [out], {"keepdims": 0}, before=node)


DYNAMIC: Mapping[str, Callable[[CodeWriter, Node], bool]] = {
    "ConvInteger": _dynamic("Conv", 0),
    "MatMulInteger": _dynamic("MatMul", -1),
    f"{_DOMAIN}.DynamicQuantizeMatMul": _rounded,
    f"{_DOMAIN}.MatMulIntegerToFloat": _of_codes,
    f"{_DOMAIN}.QAttention": _attention,
    f"{_DOMAIN}.QEmbedLayerNormalization": _embedding,
}
"""What writes each operator anew, by its name; it returns whether it could."""
