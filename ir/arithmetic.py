"""The arithmetic of shapes, carried out: what schema inference does not follow itself, once all shapes are numbers."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

import numpy as np
import onnx
import onnx.numpy_helper

from .attributes import RANDOM
from .handles import Array

_SMALL = 1024  # entries of a list that may say something of shapes


def store_lists(model: onnx.ModelProto, shapes: Mapping[str, tuple[int, ...]]) -> bool:
    """Store in ``model`` every small list that follows from constants and known shapes; return whether any was.

    The nodes that computed them go.
    """
    found = _evaluated(model, shapes)
    left = [node for node in model.graph.node if not all(name in found for name in node.output if name)]
    if len(left) == len(model.graph.node):
        return False
    del model.graph.node[:]
    model.graph.node.extend(left)
    model.graph.initializer.extend(onnx.numpy_helper.from_array(value, name) for name, value in found.items())
    return True


def _evaluated(model: onnx.ModelProto, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Array]:
    stored = [tensor for tensor in model.graph.initializer if prod(tensor.dims) <= _SMALL]
    values = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in stored}
    opsets = {entry.domain: entry.version for entry in model.opset_import}
    found: dict[str, Array] = {}
    for node in model.graph.node:
        read = {name: values[name] for name in node.input if name in values}
        if node.op_type in ("Shape", "Size") and node.input[0] in shapes:
            read = {node.input[0]: np.broadcast_to(np.float32(0), shapes[node.input[0]])}
        if node.output and all(name in read for name in node.input if name):
            known = _run(node, read, opsets, shapes)
            found.update(known)
            values.update(known)
    return found


def _run(
    node: onnx.NodeProto, read: Mapping[str, Array], opsets: Mapping[str, int], shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, Array]:
    """Return a node's outputs; nothing where they are large, drawn at random or beyond the evaluator."""
    sizes = [prod(shapes[name]) for name in node.output if name in shapes]
    if node.domain or node.op_type in RANDOM or max(sizes, default=0) > _SMALL:
        return {}
    if any(attribute.type == onnx.AttributeProto.GRAPH for attribute in node.attribute):
        return {}
    from onnx.reference import ReferenceEvaluator

    try:
        results = ReferenceEvaluator(node, opsets=dict(opsets)).run(None, dict(read))
    except Exception:  # whatever it cannot evaluate stays unknown
        return {}
    found = {name: np.asarray(value) for name, value in zip(node.output, results, strict=True) if name}
    return found if all(value.size <= _SMALL for value in found.values()) else {}
