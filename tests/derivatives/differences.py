"""Gradients of models as graphs, run by onnxruntime in float32, against finite differences of onnx's own float64."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper
from onnx.reference import ReferenceEvaluator

from optimise_onnx.backends.ort import OrtRunner
from optimise_onnx.ir.adjoint.program import Program, raised
from optimise_onnx.ir.graph import Graph
from optimise_onnx.ir.protos import every_node
from optimise_onnx.ir.shapes import concrete

from .case import Case
from .reference import REPLACED

Array = NDArray[Any]

RUNNER = OrtRunner(1)
TOLERANCE = 1e-4
STEP = 1e-8  # few units of a network pass a kink within it
SHORTEST = 0.1  # of gradients: below, what float32 leaves of a zero counts
DIRECTIONS = 2


def hold(case: Case, *, linear: bool = False) -> None:
    """Compare the gradients of one operator by all its inputs.

    A linear one is its own derivative: then onnxruntime itself, with steps of 1, stands for onnx's evaluator.
    """
    agree(case.model(), case.moved(), sorted(case.moved()), linear=linear)


def agree(
    model: onnx.ModelProto,
    feeds: Mapping[str, Array],
    names: Sequence[str],
    *,
    linear: bool = False,
    together: bool = False,
) -> None:
    """Compare the gradients of a model's outputs, randomly weighted, by some inputs and weights.

    One by one, or ``together``: along directions in which all of them change, each by its share.
    """
    graph = Graph.of(model)
    stored = {t.name: np.asarray(t.array) for t in graph.constants() if t.name in names}
    found = gradients(graph, feeds, names, stored)
    given = RUNNER.session(graph, exact=True).run
    run = given if linear else exactly(graph, stored)
    scales = {t.name: found[f"scale_{t.name}"] for t in graph.outputs if f"scale_{t.name}" in found}

    def loss(at: Mapping[str, Array]) -> float:
        values = run(at)
        return float(sum((values[name].astype(np.float64) * scale).sum() for name, scale in scales.items()))

    point = {name: array if linear else _double(array) for name, array in (*feeds.items(), *stored.items())}
    values = given(feeds)
    for name, value in run(point).items():
        for other in (values[name], found[f"value_{name}"]):
            np.testing.assert_allclose(other, value, rtol=1e-3, atol=1e-4, err_msg="two runtimes disagree")
    for group in [names] if together else [[name] for name in names]:
        slopes = {name: found[f"slope_{name}"] for name in group}
        error = worst(loss, point, slopes, 1.0 if linear else STEP)
        assert error <= TOLERANCE, f"the gradient by {', '.join(group)} is wrong by {error:.1e}"


def worst(
    loss: Callable[[Mapping[str, Array]], float],
    point: Mapping[str, Array],
    slopes: Mapping[str, Array],
    step: float,
) -> float:
    """Return the largest error of the derivative along random directions, over the length of each gradient."""
    rng, errors = np.random.default_rng(1), []
    for _ in range(DIRECTIONS):
        ways = {}
        for name, slope in slopes.items():
            assert slope.shape == point[name].shape
            way = rng.standard_normal(slope.shape) / max(float(np.linalg.norm(slope)), SHORTEST)
            ways[name] = way.astype(point[name].dtype)
        ends = [{name: point[name] + sign * way for name, way in ways.items()} for sign in (step, -step)]
        ahead, behind = (loss({**point, **end}) for end in ends)
        told = sum(float((slopes[name] * way).sum(dtype=np.float64)) for name, way in ways.items())
        errors.append(abs((ahead - behind) / (2 * step) - told))
    return max(errors)


def gradients(
    graph: Graph, feeds: Mapping[str, Array], names: Sequence[str], stored: Mapping[str, Array]
) -> dict[str, Array]:
    """Return the outputs (``value_``), the slopes there (``scale_``) and at ``names`` (``slope_``)."""
    shapes = concrete(graph, {name: array.shape for name, array in feeds.items()})
    program, rng = Program(graph, shapes, list(stored)), np.random.default_rng(2)
    real = [tensor.name for tensor in graph.outputs if tensor.dtype is None or np.dtype(tensor.dtype).kind == "f"]
    scales = {name: rng.standard_normal(shapes[name]).astype(np.float32) for name in real}
    inputs = {name: program.input("scale", shapes[name]) for name in real}
    slopes = program.backward(inputs, names)
    wanted = {f"value_{t.name}": t.name for t in graph.outputs} | {f"slope_{k}": v for k, v in slopes.items()}
    session = RUNNER.session(program.graph(wanted))
    values = session.run({**feeds, **stored, **{inputs[name]: scale for name, scale in scales.items()}})
    missing = {f"slope_{name}": np.zeros_like({**feeds, **stored}[name]) for name in names if name not in slopes}
    return {**values, **missing, **{f"scale_{name}": scale for name, scale in scales.items()}}


def exactly(graph: Graph, opened: Mapping[str, Array]) -> Callable[[Mapping[str, Array]], dict[str, Array]]:
    """Return a graph as a function in float64, some of its constants inputs."""
    evaluator = ReferenceEvaluator(_in_float64(raised(graph).to_model(), opened), new_ops=list(REPLACED))

    def run(at: Mapping[str, Array]) -> dict[str, Array]:
        return dict(zip(evaluator.output_names, evaluator.run(None, dict(at)), strict=True))

    return run


def _in_float64(model: onnx.ModelProto, opened: Mapping[str, Array]) -> onnx.ModelProto:
    found = onnx.ModelProto()
    found.CopyFrom(model)
    for name, array in opened.items():
        found.graph.input.append(onnx.helper.make_tensor_value_info(name, TensorProto.DOUBLE, array.shape))
    kept = [tensor for tensor in found.graph.initializer if tensor.name not in opened]
    del found.graph.initializer[:]
    found.graph.initializer.extend(_doubled(tensor) for tensor in kept)
    for node in every_node(found.graph):
        for attribute in node.attribute:
            if node.op_type == "Cast" and attribute.name == "to" and attribute.i == TensorProto.FLOAT:
                attribute.i = TensorProto.DOUBLE
            if attribute.type == onnx.AttributeProto.TENSOR:
                attribute.t.CopyFrom(_doubled(attribute.t))
    return found


def _doubled(tensor: TensorProto) -> TensorProto:
    return numpy_helper.from_array(_double(numpy_helper.to_array(tensor)), tensor.name)


def _double(array: Array) -> Array:
    return array.astype(np.float64) if array.dtype.kind == "f" else array
