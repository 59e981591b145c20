"""Linearised parts of graphs: the change against a difference, the adjoint as its transpose, batches of other sizes."""

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from oracle import graph_of
from zoo import feeds
from zoo.builder import Builder

from optimise_onnx.backends.ort import OrtRunner
from optimise_onnx.ir.adjoint.linear import linearised
from optimise_onnx.ir.shapes import input_sizes


def smooth(b: Builder) -> str:
    x = b.conv(b.input("x", ["N", 4, 8, 8]), 6)
    return b.conv(b.node("Mul", [x, b.sigmoid(x)]), 5, 1)


def bent(b: Builder) -> str:
    return b.conv(b.relu(b.depthwise(b.relu6(b.conv(b.input("x", ["N", 4, 9, 8]), 6, 1)), stride=2)), 5)


def products(b: Builder) -> str:
    return b.matmul(b.node("Tanh", [b.matmul(b.input("x", ["N", 6, 7]), 9)]), 5)


@pytest.mark.parametrize("build", [smooth, bent, products])
def test_the_change_is_a_difference_and_the_adjoint_its_transpose(build: Callable[[Builder], str]) -> None:
    b = Builder(build.__name__)
    model = b.model(build(b))
    graph, x, rng = graph_of(model), feeds(model, 0, 7)["x"], np.random.default_rng(0)
    parts = linearised(graph, input_sizes(graph, 2))
    forward, change, adjoint = map(OrtRunner(1).session, (parts.forward, parts.change, parts.adjoint))
    at, out = {"x": x, **forward.run({"x": x})}, graph.outputs[0].name
    moved, slope = (rng.standard_normal(values.shape).astype(np.float32) for values in (x, at[out]))
    (found,) = change.run({**at, parts.change.inputs[0].name: moved}).values()
    (back,) = adjoint.run({**at, parts.adjoint.inputs[0].name: slope}).values()
    tiny = np.float32(1e-3)
    ends = [forward.run({"x": x + sign * tiny * moved})[out] for sign in (1, -1)]
    assert np.abs((ends[0] - ends[1]) / (2 * tiny) - found).mean() < 0.01 * np.abs(found).mean()
    assert abs(np.vdot(slope, found) - np.vdot(back, moved)) < 1e-5 * np.linalg.norm(slope) * np.linalg.norm(found)


def test_what_does_not_depend_on_the_slope_is_computed_forward() -> None:
    b = Builder("bent")
    graph = graph_of(b.model(bent(b)))
    parts = linearised(graph, input_sizes(graph, 2))
    for part in (parts.change, parts.adjoint):
        assert {node.op for node in part.nodes} <= {"Conv", "ConvTranspose", "Mul", "Transpose"}


def test_an_onnx_newer_than_onnxruntime_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    b = Builder("bent")
    graph = graph_of(b.model(bent(b)))
    monkeypatch.setattr(onnx, "IR_VERSION", 99)  # what onnx writes by itself, and onnxruntime does not read
    parts = linearised(graph, input_sizes(graph, 2))
    for part in (parts.forward, parts.change, parts.adjoint):
        OrtRunner(1).session(part)
