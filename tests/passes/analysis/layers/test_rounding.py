"""What a graph rounds, and the scale that a quantised layer adds up on."""

import numpy as np
from oracle import graph_of
from zoo import feeds
from zoo.builder import Builder

from optimise_onnx.backends.ort import OrtRunner
from optimise_onnx.passes.analysis.channels.groups import analyse
from optimise_onnx.passes.analysis.layers.linear import linear_layers
from optimise_onnx.passes.analysis.layers.rounding import past_rounding, reach, straight_through, sum_scale, unrounded


def rounded(b: Builder, x: str, scale: float = 0.05, back: float | None = None) -> str:
    """A value rounded to eight bits; ``back``: another scale that it is read on."""
    zero = b.const(np.int8(-100))
    codes = b.node("QuantizeLinear", [x, b.const(np.float32(scale)), zero])
    return b.node("DequantizeLinear", [codes, b.const(np.float32(back or scale)), zero])


def test_a_rounding_is_one_step_for_its_only_reader() -> None:
    b = Builder("rounded")
    x = b.input("x", ["N", 4])
    one, two, three = b.matmul(x, 4, bias=False), b.matmul(x, 4, bias=False), b.matmul(x, 4, bias=False)
    graph = graph_of(b.model(rounded(b, one), b.relu(rounded(b, two)), b.relu(rounded(b, three, back=0.1)), three))
    tensors = graph.tensors()
    assert graph.is_output(past_rounding(graph, tensors[one]))
    found = past_rounding(graph, tensors[two])
    assert found.producer is not None and found.producer.op == "DequantizeLinear"
    assert past_rounding(graph, tensors[three]) == tensors[three]
    assert reach(tensors[two].consumers[0]) == (np.float32(0.05) * -28, np.float32(0.05) * 227)


def test_straight_through_is_the_same_but_for_rounding() -> None:
    b = Builder("through")
    x = rounded(b, b.input("x", ["N", 4]), 0.01)
    codes = b.const(b.rng.integers(-127, 128, [4, 6]).astype(np.int8))
    weight = b.node("DequantizeLinear", [codes, b.const(np.float32(0.01))])
    model = b.model(rounded(b, b.node("MatMul", [x, weight]), 0.01))
    graph = graph_of(model)
    smooth = graph.copy()
    straight_through(smooth)
    assert [node.op for node in smooth.nodes] == ["Clip", "MatMul", "Clip"]
    given = feeds(model, 0, 16)
    (before,), (after,) = (OrtRunner(1).session(each).run(given).values() for each in (graph, smooth))
    assert 0 < np.abs(before - after).max() < 0.05


def test_what_only_rounds_is_left_out() -> None:
    b = Builder("unrounded")
    x = b.input("x", ["N", 4])
    own = b.nodes("DynamicQuantizeLinear", [b.matmul(x, 4, bias=False)], 3)
    one = b.relu(b.node("DequantizeLinear", own))
    other = b.node("DequantizeLinear", [own[0], b.const(np.float32(0.5)), own[2]])
    graph = graph_of(b.model(one, b.relu(rounded(b, x)), other, b.relu(rounded(b, x, back=0.1)), rounded(b, x)))
    found = unrounded(graph)
    assert found is not None
    assert sum(node.op == "DequantizeLinear" for node in found.nodes) == 3  # on another scale twice, and an output
    assert [found.outputs[k].producer.inputs[0].name for k in (0, 1)] == [graph.nodes[0].outputs[0].name, "x"]
    plain = Builder("plain")
    assert unrounded(graph_of(plain.model(plain.relu(plain.input("x", ["N", 4]))))) is None


def test_layers_add_up_on_the_product_of_two_scales() -> None:
    b = Builder("sums")
    x = rounded(b, b.input("x", ["N", 4]), 0.05)
    codes = b.const(b.rng.integers(-127, 128, [4, 4]).astype(np.int8))
    scales = b.const(np.array([0.1, 0.2, 0.3, 0.4], np.float32))

    def layer(x: str, axis: int, op: str = "MatMul", **attributes: int) -> str:
        return b.node(op, [x, b.node("DequantizeLinear", [codes, scales], axis=axis)], **attributes)

    outputs = layer(x, 1), layer(x, 0), layer(x, 0, "Gemm", transB=1), layer("x", 1), b.matmul(x, 4, bias=False)
    graph = graph_of(b.model(*outputs))
    layers = linear_layers(graph, analyse(graph).context.shapes)
    found = [sum_scale(graph.node(name), each, graph.opset) for name, each in layers.items()]
    wanted = [0.005, 0.01, 0.015, 0.02]
    for place, scale in enumerate(found):
        if place in (0, 2):
            np.testing.assert_allclose(scale, wanted, rtol=1e-6)
        else:
            assert scale is None
