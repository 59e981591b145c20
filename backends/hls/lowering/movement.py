"""Operators that only move elements: run literally on the places, so that they cost no layer."""

from __future__ import annotations

from typing import Any

import numpy as np

from ....ir.graph import Array, Node
from .build import Build, Value, refusal


def same(build: Build, node: Node) -> Value:
    """Lower what passes its input on: Identity, Dropout."""
    return build.read(node)


def cast(build: Build, node: Node) -> Value:
    """Lower Cast to a floating type. Raises LoweringError to another."""
    kind = np.dtype(node.outputs[0].dtype or np.int64)
    if kind.kind != "f":
        raise refusal(node, f"it casts to {kind}", "keep to floats; hardware types are chosen later")
    return build.read(node)


def reshape(build: Build, node: Node) -> Value:
    """Lower Reshape, Flatten, Squeeze and Unsqueeze."""
    value = build.read(node)
    return Value(value.layer, value.places.reshape(build.shape(node, node.outputs[0])))


def transpose(build: Build, node: Node) -> Value:
    """Lower Transpose."""
    value = build.read(node)
    return Value(value.layer, value.places.transpose(node.attribute("perm", build.graph.opset)))


def slice_(build: Build, node: Node) -> Value:
    """Lower Slice with stored bounds."""
    value = build.read(node)
    names = enumerate(("starts", "ends", "axes", "steps"), start=1)
    starts, ends, axes, steps = (_argument(build, node, name, index) for index, name in names)
    if starts is None or ends is None:
        raise refusal(node, "its bounds are not given", "store starts and ends")
    axes = np.arange(len(starts)) if axes is None else axes
    steps = np.ones(len(starts), np.int64) if steps is None else steps
    places = value.places
    for start, end, axis, step in zip(starts.tolist(), ends.tolist(), axes.tolist(), steps.tolist(), strict=True):
        chosen = _indices(start, end, step, places.shape[axis])
        places = np.take(places, chosen, axis)
    return Value(value.layer, places)


def _indices(start: int, end: int, step: int, size: int) -> Array:
    """Count like ONNX: an end below -size means 'to the very first' when going backwards."""
    stop = None if step < 0 and end < -size else end
    return np.arange(size)[start:stop:step]


def split(build: Build, node: Node) -> tuple[Value, ...]:
    """Lower Split."""
    value = build.read(node)
    axis = int(node.attribute("axis", build.graph.opset, 0))
    ends = np.cumsum([build.shape(node, tensor)[axis] for tensor in node.outputs])
    return tuple(Value(value.layer, places) for places in np.split(value.places, ends[:-1], axis))


def gather(build: Build, node: Node) -> Value:
    """Lower Gather by stored indices."""
    value = build.read(node)
    chosen = build.weight(node, 1).astype(np.int64)
    return Value(value.layer, np.take(value.places, chosen, int(node.attribute("axis", build.graph.opset, 0))))


def pad(build: Build, node: Node) -> Value:
    """Lower Pad with zeros. Raises LoweringError for other modes and values."""
    value = build.read(node)
    mode = node.attribute("mode", build.graph.opset, "constant")
    number = node.attribute("value", build.graph.opset, 0.0)
    if build.graph.opset >= 11 and (stored := build.stored(node, 2)) is not None:
        number = float(stored)
    if mode != "constant" or number != 0:
        raise refusal(node, f"it pads by mode '{mode}' with {number:g}", "pad with zeros")
    pads = _argument(build, node, "pads", 1)
    if pads is None:
        raise refusal(node, "its pads are not given", "store pads")
    axes = build.stored(node, 3) if build.graph.opset >= 18 else None
    ends = np.zeros((value.places.ndim, 2), np.int64)
    ends[slice(None) if axes is None else axes] = pads.reshape(2, -1).T
    kept = tuple(slice(max(0, -before), size + min(0, after)) for size, (before, after) in _with(value, ends))
    return Value(value.layer, np.pad(value.places[kept], np.maximum(ends, 0), constant_values=-1))


def _with(value: Value, ends: Array) -> list[tuple[int, tuple[int, int]]]:
    return [(size, (int(a), int(b))) for size, (a, b) in zip(value.places.shape, ends, strict=True)]


def _argument(build: Build, node: Node, name: str, index: int) -> Array | None:
    """Return an argument, an attribute in old operator sets and a stored input since."""
    written: Any = node.attributes.get(name)
    return build.stored(node, index) if written is None else np.array(written)
