"""Weights that other nodes hand on, transposed or cast: seen as the layer reads them, written where they lie."""

import numpy as np
import onnx
import pytest
from oracle import graph_of, run
from zoo import ZOO, feeds
from zoo.builder import Builder

from optimise_onnx.ir.graph import Graph
from optimise_onnx.passes.analysis.channels.groups import analyse
from optimise_onnx.passes.analysis.layers.linear import Linear, linear_layers, stored_weight
from optimise_onnx.passes.analysis.layers.writing import writable

from .test_writing import expected, first, rewritten


def handed_on(kind: str) -> onnx.ModelProto:
    """One product, 4 features to 6."""
    b = Builder(kind)
    x = b.input("x", ["N", 4, 5] if kind == "left" else ["N", 5, 4])
    weight = b.weight([4, 6] if kind == "left" else [6, 4])
    if kind == "half":
        stored = b.const(b.uniform([6, 4], -1, 1).astype(np.float16))
        weight = b.node("Cast", [stored], to=onnx.TensorProto.FLOAT)
    weight = b.transpose(weight, 1, 0)
    return b.model(b.node("MatMul", [weight, x] if kind == "left" else [x, weight]))


@pytest.mark.parametrize("kind", ["right", "left", "half"])
def test_what_is_written_is_what_runs(kind: str) -> None:
    model = handed_on(kind)
    graph, inputs = graph_of(model), feeds(model, 0)
    layer = first(graph)
    assert writable(graph, graph.node(layer.node), layer)
    assert stored_weight(graph, graph.node(layer.node), layer).dtype == np.float32
    copy, matrix, bias = rewritten(graph, layer, np.random.default_rng(0))
    (y,) = run(copy, inputs)
    close = 1e-2 if kind == "half" else 1e-4
    np.testing.assert_allclose(layer.outputs(y), expected(layer, inputs["x"], y, matrix, bias), rtol=close, atol=close)
    assert [t.array.dtype for t in copy.constants() if t.array.ndim == 2][0] == (
        np.float16 if kind == "half" else np.float32
    )


def layers_of(graph: Graph) -> dict[str, Linear]:
    """Return the linear layers by name."""
    return linear_layers(graph, analyse(graph).context.shapes)


def test_a_table_that_a_gather_reads_too_is_left_alone() -> None:
    graph = graph_of(ZOO["tied_embedding"]())
    assert [writable(graph, graph.node(name), each) for name, each in layers_of(graph).items()] == [True, True, False]


def test_codes_behind_one_dequantisation_and_two_transpositions_are_left_alone() -> None:
    b = Builder("both")
    codes = b.const(np.arange(-12, 12, dtype=np.int8).reshape(6, 4))
    value = b.node("DequantizeLinear", [codes, b.const(np.float32(0.1))])
    x = b.input("x", ["N", 4])
    graph = graph_of(b.model(*(b.node("MatMul", [x, b.transpose(value, 1, 0)]) for _ in range(2))))
    assert not any(writable(graph, graph.node(name), each) for name, each in layers_of(graph).items())
