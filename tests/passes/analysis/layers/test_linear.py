"""Layers seen as matrices: ``rows @ matrix + bias`` is what onnxruntime computes, for every form a layer can take."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from oracle import graph_of
from zoo import ZOO, feeds
from zoo.builder import Builder

from optimise_onnx.backends.ort import OrtRunner
from optimise_onnx.ir.graph import Graph
from optimise_onnx.passes.analysis.channels.groups import analyse
from optimise_onnx.passes.analysis.layers.linear import Linear, linear_layers, stored_weight
from optimise_onnx.passes.analysis.layers.writing import stored_bias, writable
from optimise_onnx.passes.analysis.statistics.moments import sample_positions

Array = NDArray[Any]

CONVOLUTIONS: dict[str, tuple[list[int], int, int, dict[str, Any]]] = {
    # spatial sizes, channels out, groups, attributes; four channels come in
    "1d": ([11], 6, 1, {"kernel_shape": [3], "pads": [1, 1]}),
    "1d_stride_dilation": ([17], 6, 1, {"kernel_shape": [3], "strides": [2], "dilations": [3], "pads": [2, 0]}),
    "2d": ([7, 9], 6, 1, {"kernel_shape": [3, 5], "pads": [1, 2, 1, 2]}),
    "2d_asymmetric": ([7, 9], 6, 1, {"kernel_shape": [3, 2], "strides": [2, 3], "pads": [0, 1, 2, 3]}),
    "2d_dilated": ([9, 9], 6, 1, {"kernel_shape": [3, 3], "dilations": [2, 1], "strides": [1, 2]}),
    "2d_valid": ([8, 8], 6, 1, {"kernel_shape": [3, 3], "auto_pad": "VALID", "strides": [2, 2]}),
    "2d_same_upper": ([8, 9], 6, 1, {"kernel_shape": [4, 3], "auto_pad": "SAME_UPPER", "strides": [2, 2]}),
    "2d_same_lower": ([8, 9], 6, 1, {"kernel_shape": [4, 3], "auto_pad": "SAME_LOWER", "strides": [3, 2]}),
    "2d_same_narrow": ([8, 8], 6, 1, {"kernel_shape": [1, 1], "auto_pad": "SAME_UPPER", "strides": [2, 2]}),
    "3d": ([4, 5, 6], 6, 1, {"kernel_shape": [2, 3, 3], "pads": [1, 0, 1, 0, 1, 1], "strides": [1, 2, 1]}),
    "grouped": ([7, 7], 6, 2, {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}),
    "depthwise": ([7, 7], 4, 4, {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "strides": [2, 2]}),
    "depthwise_multiplier": ([7], 12, 4, {"kernel_shape": [3]}),
}


def the_layer(graph: Graph) -> Linear:
    """Return the only linear layer of a graph."""
    (layer,) = linear_layers(graph, analyse(graph).context.shapes).values()
    return layer


def values(graph: Graph, inputs: dict[str, Array], names: Sequence[str]) -> dict[str, Array]:
    """Return inputs and inner tensors, exactly run."""
    inner = [name for name in dict.fromkeys(names) if name not in inputs]
    return {**inputs, **OrtRunner(1).session(graph, outputs=inner, exact=True).run(inputs)}


def check(graph: Graph, inputs: dict[str, Array], *layers: Linear) -> None:
    """``rows @ matrix + bias`` equals each layer's output, and the matrix turns back into the stored weight."""
    known = values(graph, inputs, [name for layer in layers for name in (layer.input, layer.output)]) if layers else {}
    for layer in layers:
        check_one(graph, known, layer)


def check_one(graph: Graph, known: dict[str, Array], layer: Linear) -> None:
    node = graph.node(layer.node)
    weight = stored_weight(graph, node, layer)
    matrix = layer.matrix(weight)
    assert matrix.shape == (layer.groups, layer.fan_in, layer.fan_out)
    rows, wanted = layer.rows(known[layer.input]), layer.outputs(known[layer.output])
    own_bias = stored_bias(graph, node, layer) if node.op != "MatMul" else np.zeros(layer.groups * layer.fan_out)
    got = rows @ matrix + own_bias.reshape(layer.groups, 1, -1)
    np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-4 * np.abs(wanted).max())
    np.testing.assert_array_equal(layer.weight(matrix, weight), weight)


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolutions(name: str) -> None:
    sizes, cout, groups, attributes = CONVOLUTIONS[name]
    b = Builder(name)
    weight = b.weight([cout, 4 // groups, *attributes["kernel_shape"]])
    graph = graph_of(
        b.model(b.node("Conv", [b.input("x", ["N", 4, *sizes]), weight, b.vector(cout)], group=groups, **attributes))
    )
    layer = the_layer(graph)
    inputs = {"x": np.random.default_rng(0).standard_normal((3, 4, *sizes)).astype(np.float32)}
    check(graph, inputs, layer)

    assert layer.geometry is not None
    known = values(graph, inputs, [layer.output])
    total = layer.geometry.positions(sizes)
    assert total == np.prod(known[layer.output].shape[2:])
    spots = sample_positions(np.random.default_rng(1), 3, total, total // 2)
    assert spots is not None
    for lay_out, tensor in ((layer.rows, layer.input), (layer.outputs, layer.output)):
        everything = lay_out(known[tensor]).reshape(groups, 3, total, -1)
        picked = np.take_along_axis(everything, spots[None, :, :, None], 2).reshape(groups, spots.size, -1)
        np.testing.assert_array_equal(lay_out(known[tensor], spots), picked)


def _gemm(b: Builder, trans: int) -> str:
    weight = b.weight([6, 5] if trans else [5, 6], fan_in=5)
    return b.node("Gemm", [b.input("x", ["N", 5]), weight, b.vector(6)], transB=trans)


def _matmul_right(b: Builder, shape: Sequence[int | str]) -> str:
    return b.matmul(b.input("x", shape), 6, bias=False)


def _matmul_left(b: Builder, shape: Sequence[int | str]) -> str:
    return b.node("MatMul", [b.weight([6, 5]), b.input("x", shape)])


PRODUCTS: dict[str, Callable[[Builder], str]] = {
    "gemm": lambda b: _gemm(b, 0),
    "gemm_transposed": lambda b: _gemm(b, 1),
    "matmul_right": lambda b: _matmul_right(b, ["N", 5]),
    "matmul_right_tokens": lambda b: _matmul_right(b, ["N", 7, 5]),
    "matmul_right_heads": lambda b: _matmul_right(b, ["N", 2, 7, 5]),
    "matmul_right_vector": lambda b: _matmul_right(b, [5]),
    "matmul_left": lambda b: _matmul_left(b, [5, 7]),
    "matmul_left_batched": lambda b: _matmul_left(b, ["N", 5, 7]),
}


@pytest.mark.parametrize("name", PRODUCTS)
def test_products(name: str) -> None:
    b = Builder(name)
    model = b.model(PRODUCTS[name](b))
    check(graph_of(model), feeds(model, 0), the_layer(graph_of(model)))


@pytest.mark.parametrize("zero_point", [False, True])
@pytest.mark.parametrize(
    ("op", "shape", "axis"),
    [
        ("Conv", [6, 4, 3, 3], 0),
        ("Conv", [6, 4, 3, 3], -3),
        ("Conv", [6, 4, 3, 3], None),
        ("Gemm", [4, 6], 1),
        ("MatMul", [4, 6], None),
    ],
)
def test_quantised_weights_are_seen_through(op: str, shape: list[int], axis: int | None, zero_point: bool) -> None:
    b = Builder(f"{op}{axis}")
    count = 1 if axis is None else shape[axis]
    scale = b.const(b.uniform([count] if axis is not None else [], 0.01, 0.1))
    codes = b.const(b.rng.integers(-100, 100, shape).astype(np.int8))
    shift = [b.const(b.rng.integers(-9, 9, [count] if axis is not None else []).astype(np.int8))] if zero_point else []
    weight = b.node("DequantizeLinear", [codes, scale, *shift], **({} if axis is None else {"axis": axis}))
    x = b.input("x", ["N", 4, 8, 8] if op == "Conv" else ["N", 4])
    model = b.model(b.node(op, [x, weight]))
    graph = graph_of(model)
    check_close(graph, feeds(model, 0), the_layer(graph))


def check_close(graph: Graph, inputs: dict[str, Array], layer: Linear) -> None:
    """As :func:`check`, for a weight that is not stored as floats."""
    matrix = layer.matrix(stored_weight(graph, graph.node(layer.node), layer))
    known = values(graph, inputs, [layer.input, layer.output])
    wanted = layer.outputs(known[layer.output])
    np.testing.assert_allclose(layer.rows(known[layer.input]) @ matrix, wanted, atol=1e-5 * np.abs(wanted).max())


def test_every_layer_of_the_zoo() -> None:
    for make in ZOO.values():
        check_all(make())


def check_all(model: onnx.ModelProto) -> None:
    graph, inputs = graph_of(model), feeds(model, 0, 3)
    layers = linear_layers(graph, analyse(graph).context.shapes)
    writables = {node.name for node in graph.nodes if node.name in layers and writable(graph, node, layers[node.name])}
    found = [layers[name] for name in sorted(writables)]
    check(graph, inputs, *(one for one in found if graph.node(one.node).inputs[one.weight_index].is_constant))


def _refused(b: Builder, x: str) -> dict[str, str]:
    weight = b.weight([4, 6])
    scales = b.node("Mul", [b.const(np.float32(2)), b.input("s", [])])
    dequantised = b.node("DequantizeLinear", [b.const(np.ones((4, 6), np.int8)), scales])
    return {
        "alpha": b.node("Gemm", [x, weight], alpha=2.0),
        "transposed input": b.node("Gemm", [b.transpose(x, 1, 0), weight], transA=1),
        "computed weight": b.node("MatMul", [x, b.node("Abs", [weight])]),
        "computed scale": b.node("MatMul", [x, dequantised]),
        "batched weight": b.node("MatMul", [x, b.weight([2, 4, 6])]),
        "two activations": b.node("MatMul", [x, b.transpose(x, 1, 0)]),
    }


def test_what_is_no_matrix_is_left_out() -> None:
    b = Builder("refused")
    model = b.model(*_refused(b, b.input("x", ["N", 4])).values())
    graph = graph_of(model)
    assert not linear_layers(graph, analyse(graph).context.shapes)


def test_padding_follows_the_input_at_hand_not_the_analysed_size() -> None:
    b = Builder("dynamic")
    x = b.input("x", ["N", 4, "H", "W"])
    attributes: dict[str, Any] = {"auto_pad": "SAME_UPPER", "strides": [2, 2], "kernel_shape": [3, 3]}
    model: onnx.ModelProto = b.model(b.node("Conv", [x, b.weight([6, 4, 3, 3])], **attributes))
    graph = graph_of(model)
    layer = the_layer(graph)
    for height, width in ((8, 12), (7, 9), (32, 33)):
        inputs = {"x": np.random.default_rng(0).standard_normal((2, 4, height, width)).astype(np.float32)}
        check(graph, inputs, layer)
