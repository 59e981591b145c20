"""What a layer aims at: its own output, or past an addition whose other operand is final."""

import numpy as np
import pytest
from oracle import graph_of
from zoo.builder import Builder

from optimise_onnx.ir.graph import Graph
from optimise_onnx.passes.analysis.channels.groups import analyse
from optimise_onnx.passes.analysis.layers.linear import linear_layers
from optimise_onnx.passes.reconstruct.regression_target import RegressionTarget, end_of, target_of


def targets(graph: Graph, never: set[str] | None = None) -> dict[str, RegressionTarget]:
    """Walk the layers in order, each final after its turn but those in ``never``; return what each aimed at."""
    shapes = analyse(graph).context.shapes
    layers = linear_layers(graph, shapes)
    final = dict.fromkeys(layers, False)
    found = {}
    for name, layer in layers.items():
        found[name] = target_of(graph, end_of(graph, graph.node(name), layer), final, shapes)
        final[name] = name not in (never or set())
    return found


def test_an_identity_block() -> None:
    b = Builder("identity")
    x = b.conv_relu(b.input("x", ["N", 3, 6, 6]), 8)
    graph = graph_of(b.model(b.relu(b.add(b.conv(b.conv_relu(x, 8), 8), x))))
    assert targets(graph) == {
        "conv_0": RegressionTarget("conv_0_out"),
        "conv_1": RegressionTarget("conv_1_out"),
        "conv_2": RegressionTarget("add_0_out", "relu_0_out"),
    }
    assert targets(graph, {"conv_0"})["conv_2"] == RegressionTarget("conv_2_out")  # the shortcut may still change


@pytest.mark.parametrize("projection_first", [False, True])
def test_a_projection_block(projection_first: bool) -> None:
    b = Builder("projection")
    x = b.conv_relu(b.input("x", ["N", 3, 6, 6]), 8)
    if projection_first:
        shortcut = b.conv(x, 12, 1, 2)
        main = b.conv(b.conv_relu(x, 12, 3, 2), 12)
    else:
        main = b.conv(b.conv_relu(x, 12, 3, 2), 12)
        shortcut = b.conv(x, 12, 1, 2)
    graph = graph_of(b.model(b.relu(b.add(main, shortcut))))
    first, last = (shortcut, main) if projection_first else (main, shortcut)
    found = targets(graph)
    assert found[first.removesuffix("_out")] == RegressionTarget(first)
    assert found[last.removesuffix("_out")] == RegressionTarget("add_0_out", first)


def test_past_a_rounding_of_its_own() -> None:
    b = Builder("rounded")
    x = b.conv_relu(b.input("x", ["N", 3, 6, 6]), 8)
    scale, zero = b.const(np.float32(0.05)), b.const(np.int8(0))
    codes = b.node("QuantizeLinear", [b.conv(x, 8), scale, zero])
    graph = graph_of(b.model(b.add(b.node("DequantizeLinear", [codes, scale, zero]), x)))
    assert targets(graph)["conv_1"] == RegressionTarget("add_0_out", "relu_0_out")


def test_past_a_bias_and_a_residual() -> None:
    b = Builder("tokens")
    x = b.matmul(b.input("x", ["N", 5, 4]), 8)
    graph = graph_of(b.model(b.layer_norm(b.add(x, b.matmul(b.gelu(b.matmul(x, 16)), 8)))))
    found = targets(graph)
    assert found["matmul_0"] == RegressionTarget("add_0_out")
    assert found["matmul_1"] == RegressionTarget("add_1_out")  # past its own bias
    assert found["matmul_2"].minus == "add_0_out" and found["matmul_2"].dense == "add_4_out"


def test_two_additions_in_a_row() -> None:
    b = Builder("three")
    x = b.input("x", ["N", 3, 6, 6])
    one, two, three = (b.conv(x, 8) for _ in range(3))
    both = b.add(one, two)
    graph = graph_of(b.model(b.add(both, three)))
    assert list(targets(graph).values()) == [
        RegressionTarget(one),
        RegressionTarget("add_0_out", one),
        RegressionTarget("add_1_out", "add_0_out"),
    ]


def test_where_an_addition_is_no_target() -> None:
    b = Builder("own")
    x = b.input("x", ["N", 8, 6, 6])
    vector = b.conv(b.gap(x), 8, 1)
    shown = b.conv(x, 8)
    graph = graph_of(
        b.model(
            b.add(vector, x),  # the sum is larger than what the layer makes
            shown,
            b.add(shown, x),  # the layer's own output is put out
            b.add(b.conv(x, 8), b.const(np.ones((1, 8, 6, 6), np.float32))),
            b.mul(b.conv(x, 8), x),
        )
    )
    assert all(target == RegressionTarget(f"{name}_out") for name, target in targets(graph).items())
    b = Builder("doubled")
    y = b.conv(b.input("x", ["N", 8, 6, 6]), 8)
    assert targets(graph_of(b.model(b.add(y, y)))) == {"conv_0": RegressionTarget("conv_0_out")}


def test_layers_that_are_never_solved_are_final() -> None:
    b = Builder("transposed")
    x = b.input("x", ["N", 8, 6, 6])
    shortcut = b.conv_transpose(x, 8, 1, 1)
    graph = graph_of(b.model(b.add(b.conv(x, 8), shortcut)))
    assert targets(graph) == {"conv_0": RegressionTarget("add_0_out", shortcut)}
