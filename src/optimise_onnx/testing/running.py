"""Small networks, and runs of them that compare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from ..backends.ort.environment import onnxruntime
from ..ir.graph import Array, Graph

TOLERANCE = 1e-5
_OPSET = 17
Feeds = Mapping[str, Array]


def require(held: object, why: str) -> None:
    """Raise AssertionError unless something holds."""
    if not held:
        raise AssertionError(why)


def small_network(seed: int = 0) -> onnx.ModelProto:
    """Build a network over 8 x 8 images: batch normalisation, a residual block, a grouped convolution, five classes."""
    rng = np.random.default_rng(seed)
    weights = {
        "w0": rng.standard_normal((8, 3, 3, 3)) / 4,
        "w1": rng.standard_normal((8, 8, 3, 3)) / 6,
        "w2": rng.standard_normal((12, 4, 3, 3)) / 5,
        "w3": rng.standard_normal((12, 5)) / 2,
        "b3": rng.standard_normal(5) / 4,
    } | {name: rng.uniform(0.5, 1.5, 8) for name in ("gain", "shift", "mean", "variance")}
    nodes = [
        helper.make_node("Conv", ["x", "w0"], ["c0"], "conv_0", pads=[1] * 4),
        helper.make_node("BatchNormalization", ["c0", "gain", "shift", "mean", "variance"], ["n0"], "norm"),
        helper.make_node("Relu", ["n0"], ["r0"], "relu_0"),
        helper.make_node("Conv", ["r0", "w1"], ["c1"], "conv_1", pads=[1] * 4),
        helper.make_node("Relu", ["c1"], ["r1"], "relu_1"),
        helper.make_node("Add", ["r0", "r1"], ["sum"], "add"),
        helper.make_node("Conv", ["sum", "w2"], ["c2"], "conv_2", pads=[1] * 4, group=2),
        helper.make_node("Relu", ["c2"], ["r2"], "relu_2"),
        helper.make_node("GlobalAveragePool", ["r2"], ["g"], "pool"),
        helper.make_node("Flatten", ["g"], ["f"], "flatten"),
        helper.make_node("Gemm", ["f", "w3", "b3"], ["y"], "dense"),
    ]
    return model_of(nodes, weights, {"x": ["N", 3, 8, 8]}, {"y": ["N", 5]})


def model_of(
    nodes: Sequence[onnx.NodeProto],
    weights: Mapping[str, Array],
    inputs: Mapping[str, Sequence[int | str]],
    outputs: Mapping[str, Sequence[int | str] | None],
) -> onnx.ModelProto:
    """Put nodes into a model; floats become single precision."""
    stored = [
        numpy_helper.from_array(array.astype(np.float32) if array.dtype.kind == "f" else array, name)
        for name, array in weights.items()
    ]
    given = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()]
    made = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()]
    domains = sorted({node.domain for node in nodes} - {""})
    opsets = [helper.make_opsetid("", _OPSET), *(helper.make_opsetid(domain, 1) for domain in domains)]
    graph = helper.make_graph(nodes, "check", given, made, stored)
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def outputs_of(graph: Graph, feeds: Feeds, functions: Sequence[onnx.FunctionProto] = ()) -> list[Array]:
    """Run a graph in onnxruntime, its graph optimisation off; ``functions`` say what operators do that it lacks."""
    model = graph.to_model()
    model.functions.extend(functions)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads, options.log_severity_level = 1, 4
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return [np.asarray(array) for array in session.run(None, dict(feeds))]


def distance(wanted: Sequence[Array], found: Sequence[Array]) -> float:
    """Return the largest difference, relative to the largest entry of each output; infinite where shapes differ."""
    worst = 0.0
    for a, b in zip(wanted, found, strict=True):
        if a.shape != b.shape or not np.array_equal(np.isfinite(a), np.isfinite(b)):
            return float("inf")
        gap = np.abs(a.astype(np.float64) - b)[np.isfinite(a)]
        worst = max(worst, float(gap.max(initial=0.0)) / (float(np.abs(a[np.isfinite(a)]).max(initial=0.0)) or 1.0))
    return worst
