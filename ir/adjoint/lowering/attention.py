"""onnxruntime's MultiHeadAttention as products and a Softmax."""

from __future__ import annotations

import numpy as np
import onnx

from ..step import Step

_KNOWN = 6  # inputs that are followed: queries, keys, values, their biases, a mask, what is added to scores
_DEEP = 3  # axes of (batch, positions, width)
_FILTER = -10000.0


def multi_head(step: Step) -> list[str]:
    """Lower attention without a cache, over queries, keys and values of (batch, positions, width)."""
    parts = [index for index in range(3) if step.has(index) and len(step.shape(index)) == _DEEP]
    others = [index for index in range(_KNOWN, len(step.node.inputs)) if step.has(index)]
    shown = [tensor for tensor in step.node.outputs[1:] if tensor.name]
    if len(parts) < _DEEP or others or shown:
        raise step.refuse("it has a cache, or its queries, keys and values lie otherwise than apart")
    sheet, heads = step.sheet, int(step.attribute("num_heads"))
    queries, keys, values = (_heads(step, x, index, heads) for index, x in enumerate(_biased(step)))
    scale = float(step.attribute("scale", 0.0)) or (step.shape()[-1] // heads) ** -0.5
    scores = sheet.add("MatMul", sheet.add("Mul", queries, sheet.constant(scale)), sheet.transpose(keys, (0, 1, 3, 2)))
    added = [step.x(5)] if step.has(5) else []
    for each in (*added, *_masks(step)):
        scores = sheet.add("Add", scores, each)
    mixed = sheet.add("MatMul", sheet.add("Softmax", scores, axis=-1), values)
    batch, length, _ = step.shape()
    return [sheet.reshape(sheet.transpose(mixed, (0, 2, 1, 3)), (batch, length, step.shape(2)[-1]))]


def _biased(step: Step) -> list[str]:
    """Return queries, keys and values with their biases, which lie one after the other."""
    given = [step.x(index) for index in range(3)]
    if not step.has(3):
        return given
    widths = step.sheet.ints(step.shape(index)[-1] for index in range(3))
    biases = step.sheet.several("Split", [step.x(3), widths], 3, axis=0)
    return [step.sheet.add("Add", x, bias) for x, bias in zip(given, biases, strict=True)]


def _heads(step: Step, x: str, index: int, heads: int) -> str:
    """Return (batch, heads, positions, width of one)."""
    batch, length, width = step.shape(index)
    return step.sheet.transpose(step.sheet.reshape(x, (batch, length, heads, width // heads)), (0, 2, 1, 3))


def _masks(step: Step) -> list[str]:
    """Return what is added where a query may not see a key."""
    (batch, queries, _), keys, sheet = step.shape(), step.shape(1)[1], step.sheet
    low = float(step.attribute("mask_filter_value", _FILTER))
    if step.attribute("unidirectional", 0):
        if step.has(4) or queries != keys:
            raise step.refuse("it is causal, with a mask or another number of keys")
        return [sheet.constant(low * np.triu(np.ones((queries, keys)), 1))]
    if not step.has(4):
        return []
    forms = {(batch,): (batch, 1, 1, 1), (batch, keys): (batch, 1, 1, keys), (batch, queries, keys): None}
    shape = step.shape(4)
    if shape not in forms:
        raise step.refuse("its mask has another form than lengths, (batch, keys) or (batch, queries, keys)")
    mask = sheet.reshape(
        sheet.add("Cast", step.x(4), to=onnx.TensorProto.INT32), forms[shape] or (batch, 1, *shape[1:])
    )
    least = np.arange(keys).reshape(1, 1, 1, -1) if shape == (batch,) else 0
    hidden = sheet.truth(sheet.add("LessOrEqual", mask, sheet.constant(least, np.int32)))
    return [sheet.add("Mul", hidden, sheet.constant(low))]
