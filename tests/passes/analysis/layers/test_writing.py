"""Solved weights and biases: what is written is what runs, and no other reader of a constant notices."""

from typing import Any

import ml_dtypes
import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from oracle import graph_of, run
from zoo import feeds
from zoo.builder import Builder

from optimise_onnx.ir.graph import Graph
from optimise_onnx.passes.analysis.channels.groups import analyse
from optimise_onnx.passes.analysis.layers.linear import Linear, linear_layers, stored_weight
from optimise_onnx.passes.analysis.layers.writing import bias_place, stored_bias, writable, write_bias, write_weight

Array = NDArray[Any]


def first(graph: Graph) -> Linear:
    """Return the first linear layer."""
    return next(iter(linear_layers(graph, analyse(graph).context.shapes).values()))


def rewritten(graph: Graph, layer: Linear, rng: np.random.Generator) -> tuple[Graph, Array, Array]:
    """Write random numbers into a layer of a copy; return the copy, the weight (g, d, m) and the bias (g * m,)."""
    copy = graph.copy()
    node = copy.node(layer.node)
    stored = stored_weight(copy, node, layer)
    matrix = rng.standard_normal((layer.groups, layer.fan_in, layer.fan_out))
    bias = rng.standard_normal(layer.groups * layer.fan_out)
    write_weight(copy, node, layer, layer.weight(matrix, stored))
    write_bias(copy, node, layer, bias)
    return copy, matrix, bias


def expected(layer: Linear, x: Array, y: Array, matrix: Array, bias: Array) -> Array:
    """Lay ``x @ matrix + bias`` out as ``layer.outputs(y)`` is."""
    return layer.rows(x) @ matrix + bias.reshape(layer.groups, 1, -1)


def _layer(kind: str) -> onnx.ModelProto:
    b = Builder(kind)
    image, rows, columns = ["N", 4, 6, 6], ["N", 5, 4], ["N", 4, 5]
    x = b.input("x", image if "conv" in kind else columns if "left" in kind else ["N", 4] if "gemm" in kind else rows)
    match kind:
        case "conv" | "conv_plain":
            return b.model(b.conv(x, 6, bias=kind == "conv"))
        case "conv_grouped":
            return b.model(b.conv(x, 6, group=2))
        case "conv_depthwise":
            return b.model(b.depthwise(x, multiplier=2))
        case "gemm":
            return b.model(b.gemm(x, 6))
        case "gemm_plain":
            return b.model(b.node("Gemm", [x, b.weight([4, 6])]))
        case "gemm_row" | "gemm_scalar":
            c = b.uniform([1, 6] if kind == "gemm_row" else [], -1, 1)
            return b.model(b.node("Gemm", [x, b.weight([4, 6]), b.const(c)]))
        case "matmul" | "matmul_plain":
            return b.model(b.matmul(x, 6, bias=kind == "matmul"))
        case "matmul_wide_bias" | "matmul_scalar_bias":
            c = b.uniform([1, 1, 6] if kind == "matmul_wide_bias" else [], -1, 1)
            return b.model(b.add(b.const(c), b.matmul(x, 6, bias=False)))
        case "left_plain":
            return b.model(b.node("MatMul", [b.weight([6, 4]), x]))
        case "left":
            return b.model(b.add(b.node("MatMul", [b.weight([6, 4]), x]), b.const(b.uniform([6, 1], -1, 1))))
    raise AssertionError(kind)


KINDS = [
    "conv",
    "conv_plain",
    "conv_grouped",
    "conv_depthwise",
    "gemm",
    "gemm_plain",
    "gemm_row",
    "gemm_scalar",
    "matmul",
    "matmul_plain",
    "matmul_wide_bias",
    "matmul_scalar_bias",
    "left",
    "left_plain",
]


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_written_is_what_runs(kind: str) -> None:
    model = _layer(kind)
    graph, inputs = graph_of(model), feeds(model, 0)
    layer = first(graph)
    assert writable(graph, graph.node(layer.node), layer)
    copy, matrix, bias = rewritten(graph, layer, np.random.default_rng(0))
    (y,) = run(copy, inputs)
    assert y.shape == run(graph, inputs)[0].shape
    np.testing.assert_allclose(layer.outputs(y), expected(layer, inputs["x"], y, matrix, bias), rtol=1e-4, atol=1e-4)
    assert len(copy.nodes) - len(graph.nodes) == (kind in ("matmul_plain", "left_plain"))

    again = first(copy)
    np.testing.assert_allclose(stored_bias(copy, copy.node(again.node), again), bias, rtol=1e-6)
    twice, matrix, bias = rewritten(copy, again, np.random.default_rng(1))
    (y,) = run(twice, inputs)
    np.testing.assert_allclose(layer.outputs(y), expected(layer, inputs["x"], y, matrix, bias), rtol=1e-4, atol=1e-4)
    assert len(twice.nodes) == len(copy.nodes)


def test_half_precision_stays() -> None:
    b = Builder("half")
    x = b.input("x", ["N", 4], np.float16)
    model = b.model(b.node("MatMul", [x, b.const(b.uniform([4, 6], -1, 1).astype(np.float16))]))
    graph = graph_of(model)
    copy, matrix, bias = rewritten(graph, first(graph), np.random.default_rng(0))
    (y,) = run(copy, feeds(model, 0))
    assert y.dtype == np.float16
    np.testing.assert_allclose(y, feeds(model, 0)["x"] @ matrix[0] + bias, rtol=0.02, atol=0.02)


def test_constants_that_others_read_are_left_alone() -> None:
    b = Builder("shared")
    x = b.input("x", ["N", 4, 6, 6])
    bias = b.vector(4)
    one = b.conv_with(x, [b.weight([4, 4, 3, 3]), bias])
    two = b.conv_with(x, [b.weight([4, 4, 3, 3]), bias])
    model = b.model(one, two)
    graph = graph_of(model)
    copy, *_ = rewritten(graph, first(graph), np.random.default_rng(0))
    before, after = run(graph, feeds(model, 0)), run(copy, feeds(model, 0))
    assert np.abs(before[0] - after[0]).max() > 0.1
    np.testing.assert_array_equal(before[1], after[1])


def test_the_original_of_a_copy_is_left_alone() -> None:
    model = _layer("conv")
    graph = graph_of(model)
    before = graph.to_model().SerializeToString()
    rewritten(graph, first(graph), np.random.default_rng(0))
    assert graph.to_model().SerializeToString() == before


@pytest.mark.parametrize(("axis", "zero_point"), [(0, False), (0, True), (None, False), (None, True)])
def test_codes_keep_their_format(axis: int | None, zero_point: bool) -> None:
    b = Builder("codes")
    form = [6] if axis == 0 else []
    scale = b.const(b.uniform(form, 0.01, 0.1))
    codes = b.const(b.rng.integers(-100, 100, [6, 4, 3, 3]).astype(np.int8))
    shift = [b.const(b.rng.integers(-9, 9, form).astype(np.int8))] if zero_point else []
    attributes = {"axis": 0} if axis == 0 else {}
    weight = b.node("DequantizeLinear", [codes, scale, *shift], **attributes)
    bias = b.node("DequantizeLinear", [b.const(np.arange(6, dtype=np.int32)), b.const(np.float32(0.1))])
    model = b.model(b.conv_with(b.input("x", ["N", 4, 6, 6]), [weight, bias]))
    graph, inputs = graph_of(model), feeds(model, 0)
    layer = first(graph)
    np.testing.assert_allclose(stored_bias(graph, graph.node(layer.node), layer), 0.1 * np.arange(6), rtol=1e-6)

    copy, matrix, new = rewritten(graph, layer, np.random.default_rng(0))
    dequantised = copy.node(layer.node).inputs[1].producer
    assert dequantised is not None
    assert [t.array.dtype for t in dequantised.inputs] == [np.int8, np.float32, np.int8][: 2 + zero_point]
    assert dequantised.inputs[1].array.shape == tuple(form)
    wanted = layer.weight(matrix, np.zeros((6, 4, 3, 3)))
    axes = (1, 2, 3) if axis == 0 else None
    step = np.abs(wanted).max(axis=axes, keepdims=True) / 127
    error = np.abs(stored_weight(copy, copy.node(layer.node), layer) - wanted)
    assert (error <= 0.51 * step).all()
    (y,) = run(copy, inputs)
    size = np.abs(expected(layer, inputs["x"], y, np.abs(matrix), np.abs(new))).max()
    assert np.abs(layer.outputs(y) - expected(layer, inputs["x"], y, matrix, new)).max() < 0.01 * size


def test_a_column_of_zeros_is_quantised() -> None:
    b = Builder("zeros")
    codes, scale = b.const(np.ones((6, 4), np.int8)), b.const(np.ones(6, np.float32))
    weight = b.node("DequantizeLinear", [codes, scale], axis=0)
    graph = graph_of(b.model(b.node("Gemm", [b.input("x", ["N", 4]), weight], transB=1)))
    layer = first(graph)
    write_weight(graph, graph.node(layer.node), layer, np.zeros((6, 4), np.float32))
    assert not stored_weight(graph, graph.node(layer.node), layer).any()


@pytest.mark.parametrize("kind", [np.uint8, ml_dtypes.int4, ml_dtypes.uint4])
def test_codes_of_every_kind_are_written(kind: type) -> None:
    b = Builder("kinds", opset=21, ir_version=10)
    codes = b.const(b.rng.integers(0, 8, [6, 4]).astype(kind))
    shift = b.const(np.zeros(6, kind))
    weight = b.node("DequantizeLinear", [codes, b.const(b.uniform([6], 0.1, 0.2)), shift], axis=0)
    model = b.model(b.node("Gemm", [b.input("x", ["N", 4]), weight, b.vector(6)], transB=1))
    graph, given = graph_of(model), feeds(model, 0)
    layer = first(graph)
    assert writable(graph, graph.node(layer.node), layer)
    copy, matrix, _ = rewritten(graph, layer, np.random.default_rng(0))
    found = layer.matrix(stored_weight(copy, copy.node(layer.node), layer))
    assert np.abs(found - matrix).max() < (0.02 if kind is np.uint8 else 0.25) * np.abs(matrix).max()
    (y,) = run(copy, given)
    np.testing.assert_allclose(y, given["x"] @ found[0] + stored_bias(copy, copy.node(layer.node), layer), atol=1e-5)


@pytest.mark.parametrize("stored", ["codes", "shared", "missing"])
def test_the_bias_of_a_quantised_layer_is_codes_on_its_scale(stored: str) -> None:
    """Its scale is that of the input times that of the weight, as onnxruntime's integer kernels need it."""
    b = Builder("quantised")
    zero, step = b.const(np.int8(3)), b.const(np.float32(0.05))
    x = b.node("DequantizeLinear", [b.node("QuantizeLinear", [b.input("x", ["N", 4, 6, 6]), step, zero]), step, zero])
    codes = b.const(b.rng.integers(-100, 100, [6, 4, 3, 3]).astype(np.int8))
    weight = b.node("DequantizeLinear", [codes, b.const(b.uniform([6], 0.01, 0.1))], axis=0)
    old = b.node("DequantizeLinear", [b.const(np.arange(6, dtype=np.int32)), b.const(np.float32(0.1))])
    y = b.conv_with(x, [weight] if stored == "missing" else [weight, old])
    outputs = [y, b.node("Add", [y, b.reshape(old, 6, 1, 1)])] if stored == "shared" else [y]
    graph = graph_of(b.model(*outputs))
    layer = first(graph)
    copy, _, bias = rewritten(graph, layer, np.random.default_rng(0))
    node = copy.node(layer.node)
    made, weighted = node.inputs[2].producer, node.inputs[1].producer
    assert made is not None and weighted is not None and made.inputs[0].dtype == np.int32
    np.testing.assert_allclose(made.inputs[1].array, np.float32(0.05) * weighted.inputs[1].array, rtol=1e-6)
    assert np.abs(stored_bias(copy, node, layer) - bias).max() < made.inputs[1].array.max()


def _refused() -> dict[str, onnx.ModelProto]:
    b = Builder("shared_weight")
    x, weight = b.input("x", ["N", 4]), b.weight([4, 4])
    shared = b.model(b.node("MatMul", [b.node("MatMul", [x, weight]), weight]))
    b = Builder("unsigned")
    codes = b.node("DequantizeLinear", [b.const(np.ones((4, 6), np.uint8)), b.const(np.float32(0.1))])
    unsigned = b.model(b.node("MatMul", [b.input("x", ["N", 4]), codes]))
    b = Builder("computed_bias")
    x = b.input("x", ["N", 4])
    residual = b.model(b.node("Gemm", [x, b.weight([4, 4]), b.relu(x)]))
    b = Builder("bias_a_sample")
    sampled = b.model(b.node("Gemm", [b.input("x", [3, 4]), b.weight([4, 6]), b.const(b.uniform([3, 6], -1, 1))]))
    b = Builder("cast")
    cast = b.node("Cast", [b.const(np.ones((4, 6), np.int32))], to=1)
    return {
        "shared": shared,
        "unsigned": unsigned,
        "computed bias": residual,
        "bias a sample": sampled,
        "cast": b.model(b.node("MatMul", [b.input("x", ["N", 4]), cast])),
    }


@pytest.mark.parametrize("name", _refused())
def test_not_every_layer_may_be_written(name: str) -> None:
    graph = graph_of(_refused()[name])
    layer = first(graph)
    assert not writable(graph, graph.node(layer.node), layer)


def test_a_bias_is_what_all_positions_share() -> None:
    b = Builder("places")
    x = b.input("x", ["N", 5, 4])
    products = [b.matmul(x, 6, bias=False) for _ in range(5)]
    each_token = b.add(products[0], b.const(b.uniform([5, 6], -1, 1)))
    outgrown = b.add(products[1], b.const(b.uniform([1, 1, 1, 1], -1, 1)))
    two_readers = b.add(b.add(products[2], b.vector(6)), products[2])
    computed = b.add(products[3], b.relu(products[4]))
    single = b.add(b.matmul(x, 1, bias=False), b.vector(6))
    graph = graph_of(b.model(each_token, outgrown, two_readers, computed, single))
    layers = linear_layers(graph, analyse(graph).context.shapes)
    assert len(layers) == 6
    assert all(bias_place(graph, graph.node(name), layer) is None for name, layer in layers.items())


def test_an_output_keeps_its_own_bias() -> None:
    b = Builder("output")
    product = b.matmul(b.input("x", ["N", 4]), 6, bias=False)
    model = b.model(product, b.add(product, b.vector(6)))
    graph, inputs = graph_of(model), feeds(model, 0)
    layer = first(graph)
    copy, matrix, bias = rewritten(graph, layer, np.random.default_rng(0))
    np.testing.assert_allclose(run(copy, inputs)[0], inputs["x"] @ matrix[0] + bias, rtol=1e-4, atol=1e-4)
