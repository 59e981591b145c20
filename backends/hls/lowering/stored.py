"""Stored numbers: constants, those kept as integers with a scale, and those that QONNX quantises."""

from __future__ import annotations

import numpy as np

from ....ir.graph import Array, Node, Tensor
from ....ir.qonnx import QUANTISERS, stored_codes


def is_stored(tensor: Tensor) -> bool:
    """Whether a tensor is a constant, or one behind DequantizeLinear, a quantiser of QONNX or a Transpose."""
    node = tensor.producer
    return tensor.is_constant or (
        node is not None
        and node.qualified in ("DequantizeLinear", "Transpose", *QUANTISERS)
        and all(is_stored(one) for one in node.inputs if one.name)
    )


def numbers(tensor: Tensor) -> Array:
    """Return the value of a stored tensor."""
    if tensor.is_constant:
        return tensor.array
    node = tensor.producer
    assert node is not None
    if node.qualified in QUANTISERS:
        codes, scale = quantised(node)
        return codes * scale
    if node.op == "Transpose":
        return np.transpose(numbers(node.inputs[0]), node.attributes.get("perm"))
    codes, scale, *rest = [numbers(one) for one in node.inputs if one.name]
    form = [1] * codes.ndim
    if scale.size > 1:
        form[node.attributes.get("axis", 1)] = scale.size
    zero = rest[0].astype(np.float64) if rest else np.zeros_like(scale)
    return (codes.astype(np.float64) - _formed(zero, form)) * _formed(scale, form)


def quantised(node: Node) -> tuple[Array, Array]:
    """Return the integers that a quantiser of QONNX makes of stored numbers, less its zero point, and their scale."""
    return stored_codes(node.qualified, node.attributes, *map(numbers, node.inputs))


def _formed(values: Array, form: list[int]) -> Array:
    return values.reshape(form) if values.size > 1 else values.reshape(())
