"""Stored numbers: constants, and those kept as integers with a scale."""

from __future__ import annotations

import numpy as np

from ....ir.graph import Array, Tensor


def is_stored(tensor: Tensor) -> bool:
    """Whether a tensor is a constant, or one behind DequantizeLinear."""
    node = tensor.producer
    return tensor.is_constant or (
        node is not None and node.op == "DequantizeLinear" and all(one.is_constant for one in node.inputs if one.name)
    )


def numbers(tensor: Tensor) -> Array:
    """Return the value of a stored tensor."""
    if tensor.is_constant:
        return tensor.array
    node = tensor.producer
    assert node is not None
    codes, scale, *rest = [one.array for one in node.inputs if one.name]
    form = [1] * codes.ndim
    if scale.size > 1:
        form[node.attributes.get("axis", 1)] = scale.size
    zero = rest[0].astype(np.float64) if rest else np.zeros_like(scale)
    return (codes.astype(np.float64) - _formed(zero, form)) * _formed(scale, form)


def _formed(values: Array, form: list[int]) -> Array:
    return values.reshape(form) if values.size > 1 else values.reshape(())
