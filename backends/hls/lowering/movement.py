"""Operators that only move elements: run literally on the places, so that they cost no layer."""

from __future__ import annotations

from functools import partial

import numpy as np

from ....ir.arguments import axis, padding, permutation, spans
from ....ir.graph import Node
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
    return Value(value.layer, value.places.transpose(permutation(node, build.graph.opset, value.places.ndim)))


def slice_(build: Build, node: Node) -> Value:
    """Lower Slice with stored bounds."""
    value = build.read(node)
    rank = value.places.ndim
    taken = spans(node, build.graph.opset, rank, partial(build.number, node))
    if taken is None:
        raise refusal(node, "its bounds are not given", "store starts and ends")
    return Value(value.layer, value.places[tuple(taken.get(axis, slice(None)) for axis in range(rank))])


def split(build: Build, node: Node) -> tuple[Value, ...]:
    """Lower Split."""
    value = build.read(node)
    along = axis(node, build.graph.opset, value.places.ndim)
    ends = np.cumsum([build.shape(node, tensor)[along] for tensor in node.outputs])
    return tuple(Value(value.layer, places) for places in np.split(value.places, ends[:-1], along))


def gather(build: Build, node: Node) -> Value:
    """Lower Gather by stored indices."""
    value = build.read(node)
    chosen = build.weight(node, 1).astype(np.int64)
    return Value(value.layer, np.take(value.places, chosen, axis(node, build.graph.opset, value.places.ndim)))


def pad(build: Build, node: Node) -> Value:
    """Lower Pad with zeros. Raises LoweringError for other modes and values."""
    value = build.read(node)
    added = padding(node, build.graph.opset, value.places.ndim, partial(build.number, node))
    if added is None:
        raise refusal(node, "its pads are not given", "store pads")
    if added.mode != "constant" or added.value != 0:
        raise refusal(node, f"it pads by mode '{added.mode}' with {added.value:g}", "pad with zeros")
    sizes = zip(value.places.shape, added.widths, strict=True)
    kept = tuple(slice(max(0, -before), size + min(0, after)) for size, (before, after) in sizes)
    return Value(value.layer, np.pad(value.places[kept], np.maximum(added.widths, 0), constant_values=-1))
