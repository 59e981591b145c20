"""If: back through the branch that is taken."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
import onnx.helper

from ..step import Step
from .inside import inside


def branch(step: Step) -> Mapping[int | str, str]:
    """Return the slopes at what the branches capture: zeros at what the one that is taken does not read."""
    branches = {name: _back(step, name) for name in ("then_branch", "else_branch")}
    found = step.sheet.several("If", [step.x(0)], len(step.captured), **branches)
    return dict(zip(step.captured, found, strict=True))


def _back(step: Step, name: str) -> onnx.GraphProto:
    """Write a branch that computes an old one again, and then its adjoint."""
    (graph, shapes), inner = inside(step, name), step.sheet.inner()
    slopes: dict[str, list[str]] = {}
    for tensor, slope in zip(graph.outputs, step.slopes, strict=True):
        if slope is not None:
            slopes.setdefault(tensor.name, []).append(slope)
    assert step.again is not None
    totals = {tensor: inner.total(terms) for tensor, terms in slopes.items()}
    found = step.again(graph, shapes, inner, totals, step.captured)
    zeros = {
        each: inner.constant(np.zeros(step.shapes[each], np.float32)) for each in step.captured if each not in found
    }
    results = [inner.add("Identity", {**zeros, **found}[each]) for each in step.captured]
    model = graph.to_model().graph
    declared = [
        onnx.helper.make_tensor_value_info(result, onnx.TensorProto.FLOAT, step.shapes[each])
        for result, each in zip(results, step.captured, strict=True)
    ]
    stored = [*model.initializer, *inner.constants]
    return onnx.helper.make_graph([*model.node, *inner.nodes], name, [], declared, stored)
