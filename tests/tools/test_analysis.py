"""What ``analyse`` counts as free: the layers whose channels can go, and what holds their weights."""

import numpy as np
import pytest
from oracle import graph_of
from zoo.builder import Builder

from optimise_onnx.backends.ort import OrtRunner
from optimise_onnx.ir.cost import total
from optimise_onnx.tools.analysis import Analysis


@pytest.mark.parametrize("codes", [False, True])
def test_weights_that_are_codes_are_free_with_their_layer(codes: bool) -> None:
    b = Builder("free")
    x = b.relu(b.conv(b.input("x", ["N", 3, 8, 8]), 16))
    if codes:
        stored = b.const(b.rng.integers(-127, 128, [6, 16, 3, 3]).astype(np.int8))
        weight = b.node("DequantizeLinear", [stored, b.const(b.uniform([6], 0.001, 0.002))], axis=0)
        y = b.conv_with(x, [weight])
    else:
        y = b.conv(x, 6, bias=False)
    found = Analysis.of(graph_of(b.model(y)), OrtRunner(1))
    whole = total(found.costs)
    assert found.free.parameters >= 16 * 3 * 9 + 6 * 16 * 9
    assert found.free.parameters <= whole.parameters
