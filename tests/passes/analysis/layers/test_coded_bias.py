"""Biases that are stored as codes, when the weight beside them is written anew."""

import numpy as np
import onnx
import pytest
from oracle import graph_of
from zoo.builder import Builder

from optimise_onnx.passes.analysis.channels.groups import analyse
from optimise_onnx.passes.analysis.layers.linear import linear_layers
from optimise_onnx.passes.analysis.layers.writing import stored_bias, write_weight


@pytest.mark.parametrize(("axis", "opset"), [(None, 17), (0, 17), (None, 10), (None, 12)])
def test_its_scale_follows_that_of_the_weight(axis: int | None, opset: int) -> None:
    """So that integer kernels, which take a bias on the product of both scales alone, still run the layer."""
    b, count = Builder("follows", opset=opset), 6 if axis is not None else 1
    zero, step, form = b.const(np.int8(0)), b.const(np.float32(0.05)), [count] if axis is not None else []
    x = b.node("QuantizeLinear", [b.input("x", ["N", 4, 6, 6]), step, zero])
    read = b.node("DequantizeLinear", [x, step, zero])
    scale = b.uniform([6], 0.01, 0.02)[:count].reshape(form).astype(np.float32)
    codes, sums = b.rng.integers(-127, 128, [6, 4, 3, 3]).astype(np.int8), (0.05 * scale).astype(np.float32)
    along = {} if axis is None else {"axis": axis}
    weight = b.node("DequantizeLinear", [b.const(codes), b.const(scale)], **along)
    bias = b.node(
        "DequantizeLinear", [b.const(np.arange(-300, 300, 100, np.int32)), b.const(sums.ravel())], **along
    )  # quantisers store one scale as a vector of one
    graph = graph_of(b.model(b.conv_with(read, [weight, bias])))
    layer = next(iter(linear_layers(graph, analyse(graph).context.shapes).values()))
    node, before = graph.node(layer.node), stored_bias(graph, graph.node(layer.node), layer)
    write_weight(graph, node, layer, b.rng.standard_normal((6, 4, 3, 3)).astype(np.float32))
    made, weighted = (node.inputs[place].producer for place in (2, 1))
    assert made is not None and weighted is not None and made.inputs[0].dtype == np.int32
    steps = made.inputs[1].array
    np.testing.assert_allclose(steps, 0.05 * weighted.inputs[1].array, rtol=1e-6)
    onnx.checker.check_model(graph.to_model())
    assert (np.abs(stored_bias(graph, node, layer) - before) <= 0.5001 * steps).all()
