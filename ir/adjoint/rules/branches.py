"""If: back through the branch that is taken."""

from __future__ import annotations

from collections.abc import Mapping

import onnx

from ..step import Step
from .inside import adjoint, inside, results, with_adjoint


def branch(step: Step) -> Mapping[int | str, str]:
    """Return the slopes at what the branches capture: zeros at what the one that is taken does not read."""
    branches = {name: _back(step, name) for name in ("then_branch", "else_branch")}
    found = step.sheet.several("If", [step.x(0)], len(step.captured), **branches)
    return dict(zip(step.captured, found, strict=True))


def _back(step: Step, name: str) -> onnx.GraphProto:
    """Write a branch that computes an old one again, and then its adjoint."""
    (graph, shapes), inner = inside(step, name), step.sheet.inner()
    pairs = zip(graph.outputs, step.slopes, strict=True)
    slopes = [(tensor.name, slope) for tensor, slope in pairs if slope is not None]
    found = adjoint(step, graph, shapes, inner, slopes, step.captured)
    sizes = [step.shapes[each] for each in step.captured]
    return with_adjoint(graph, inner, [], results(inner, [found[each] for each in step.captured], sizes))
