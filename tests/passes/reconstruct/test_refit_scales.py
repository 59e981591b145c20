"""Scales of activations after channels have gone: nearer to the original, the interface as it was."""

from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from oracle import graph_of
from zoo import feeds
from zoo.builder import Builder

from optimise_onnx.backends.ort import OrtRunner
from optimise_onnx.ir.feeds import Calibration
from optimise_onnx.ir.graph import Graph
from optimise_onnx.passes.analysis.layers.families import Key, families
from optimise_onnx.passes.analysis.layers.rounding import QUANTISE, scale_of
from optimise_onnx.passes.base import Context
from optimise_onnx.passes.manager import PassManager
from optimise_onnx.passes.reconstruct.refit_scales import RefitScales, fitted

Array = NDArray[Any]
WIDTH = 0.05


def rounding(b: Builder, x: str, scale: float, zero: int) -> str:
    """A value rounded to eight bits."""
    parameters = [b.const(np.float32(scale)), b.const(np.int8(zero))]
    return b.node("DequantizeLinear", [b.node("QuantizeLinear", [x, *parameters]), *parameters])


def weight(b: Builder, *shape: int) -> str:
    """Codes with a scale for each output."""
    codes = b.const(b.rng.integers(-127, 128, shape).astype(np.int8))
    return b.node("DequantizeLinear", [codes, b.const(b.uniform([shape[0]], 0.002, 0.004))], axis=0)


def model() -> onnx.ModelProto:
    """Codes in, codes out; two values share a scale."""
    b = Builder("quantised")
    entry = [b.const(np.float32(0.03)), b.const(np.int8(0))]
    x = b.node("DequantizeLinear", [b.input("x", ["N", 3, 8, 8], np.int8), *entry])
    bias = b.node("DequantizeLinear", [b.const(np.arange(12, dtype=np.int32)), b.const(np.float32(1e-4))])
    h = b.relu(b.conv_with(x, [weight(b, 12, 3, 3, 3), bias]))
    h = rounding(b, h, WIDTH, -128)
    h = rounding(b, b.node("MaxPool", [h], kernel_shape=[2, 2], strides=[2, 2]), WIDTH, -128)
    h = rounding(b, b.conv_with(h, [weight(b, 12, 12, 3, 3), b.vector(12)]), 0.3, 0)
    y = b.node("Gemm", [b.flatten(b.gap(h)), weight(b, 5, 12), b.vector(5)], transB=1)
    return b.model(b.node("QuantizeLinear", [y, b.const(np.float32(0.02)), b.const(np.int8(3))]))


def keys(graph: Graph) -> set[Any]:
    return {scale_of(node) for node in graph.nodes if node.op == QUANTISE}


def test_families_leave_the_interface_alone() -> None:
    graph = graph_of(model())
    kind = np.dtype(np.int8)
    assert {(round(key.scale, 3), key.zero): len(nodes) for key, nodes in families(graph).items()} == {
        (WIDTH, -128): 4,
        (0.3, 0): 2,
    }
    assert all(key.kind == kind for key in families(graph))


def test_codes_that_something_computes_with_keep_their_scale() -> None:
    b = Builder("computed")
    x = b.input("x", ["N", 4])
    parameters = [b.const(np.float32(0.1)), b.const(np.int8(0))]
    codes = b.node("QuantizeLinear", [x, *parameters])
    y = b.node("DequantizeLinear", [b.node("Max", [codes, b.const(np.int8(3))]), *parameters])
    assert families(graph_of(b.model(y))) == {}


@pytest.mark.parametrize("zero", [-128, 0])
def test_a_scale_fits_the_values(zero: int) -> None:
    values = np.random.default_rng(0).uniform(-1 if zero == 0 else 0, 2, 5000)
    scale, shift = fitted(values, Key(1.0, zero, np.dtype(np.int8)))
    assert shift == zero
    assert scale == pytest.approx(2 / 127 if zero == 0 else 2 / 255, rel=0.01)


def test_after_removal_scales_are_fitted_and_shared_as_before() -> None:
    source = model()
    graph = graph_of(source)
    given = feeds(source, 0, 96)["x"]
    pruned, context = graph.copy(), Context(OrtRunner(1), graph, Calibration.from_arrays({"x": given}))
    PassManager.parse("select-channels{keep=0.75},remove-channels,reconstruct").run(pruned, context)
    for nodes in families(pruned).values():
        wide = pruned.constant("wide", 10 * nodes[0].inputs[1].array)
        for node in nodes:
            node.set_input(1, wide)
    outcome = RefitScales().run(pruned, context)
    assert outcome.notes == ("2 scales of activations fitted anew",)
    found = families(pruned)
    assert sorted(len(nodes) for nodes in found.values()) == [2, 4]
    assert max(key.scale for key in found) < 0.1
    assert (np.float32(0.02), 3, np.dtype(np.int8)) in keys(pruned)
    assert outcome.figures["error_after"] < 0.5 * outcome.figures["error_before"]
    layer = next(node for node in pruned.nodes if node.op == "Conv")
    made, read, weighted = layer.inputs[2].producer, layer.inputs[0].producer, layer.inputs[1].producer
    assert made is not None and read is not None and weighted is not None
    np.testing.assert_allclose(made.inputs[1].array, read.inputs[1].array * weighted.inputs[1].array, rtol=1e-6)


def test_where_nothing_is_removed_nothing_is_fitted() -> None:
    graph = graph_of(model())
    context = Context(OrtRunner(1), graph, Calibration.from_arrays({"x": feeds(model(), 0, 8)["x"]}))
    assert not RefitScales().run(graph, context).changed
