"""Curves, sums, concatenations, movement and layouts, against onnxruntime; what is refused, by name."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from optimise_onnx.backends.hls import reference
from optimise_onnx.backends.hls.lowering import lower
from optimise_onnx.backends.hls.network import Activation, Input
from optimise_onnx.ir.errors import LoweringError
from tests.backends.hls.lowered import check, kinds, picture, prepared, scores
from tests.zoo.builder import Builder

Change = Callable[[Builder, str], str]


def bounded(low: float | None, high: float | None) -> Change:
    def clip(b: Builder, x: str) -> str:
        ends = ["" if end is None else b.const(end) for end in (low, high)]
        return b.node("Clip", [x, *ends])

    return clip


def resized(factor: float, **modes: str) -> Change:
    """Resize rows and columns by a factor."""
    return lambda b, x: b.node(
        "Resize", [x, "", b.const(np.array([1, 1, factor, factor], np.float32))], **{"mode": "nearest", **modes}
    )


def upwards(size: list[int], group: int = 1, **attributes: Any) -> Change:
    """ConvTranspose with three results for each group."""
    return lambda b, x: b.node(
        "ConvTranspose",
        [x, b.const(b.uniform([b.size(x), 3, *size], -1, 1)), b.const(b.uniform([3 * group], -1, 1))],
        group=group,
        **attributes,
    )


def recurrent(b: Builder, x: str) -> str:
    """An LSTM over the rows of a picture."""
    rows = b.transpose(b.reshape(b.transpose(x, 0, 2, 1, 3), -1, 7, 24), 1, 0, 2)
    weights = [b.const(b.uniform([1, 8, size], -1, 1)) for size in (24, 2)]
    return b.node("LSTM", [rows, *weights], hidden_size=2)


def unary(op: str, **attributes: Any) -> Change:
    return lambda b, x: b.node(op, [x], **attributes)


@pytest.mark.parametrize(
    ("change", "kind", "parameters"),
    [
        (bounded(0.0, 6.0), "clip", (0, 6)),
        (bounded(-0.5, None), "clip", (-0.5, np.inf)),
        (bounded(0.0, None), "relu", ()),
        (unary("LeakyRelu", alpha=0.25), "leaky_relu", (0.25,)),
        (unary("LeakyRelu"), "leaky_relu", (0.01,)),
        (unary("Elu", alpha=0.5), "elu", (0.5,)),
        (unary("HardSigmoid", alpha=0.25, beta=0.375), "clip", (0, 1)),
        (unary("Sigmoid"), "sigmoid", ()),
        (unary("Softplus"), "softplus", ()),
        (unary("Softsign"), "softsign", ()),
        (unary("Tanh"), "tanh", ()),
    ],
)
def test_curves(change: Change, kind: str, parameters: tuple[float, ...]) -> None:
    b, x = picture()
    layer = check(b.model(change(b, b.conv(x, 3)))).layers[-1]
    assert isinstance(layer, Activation) and layer.kind == kind
    assert layer.parameters == pytest.approx(parameters)


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        (lambda b, x: b.mul(x, b.sigmoid(x)), ["Activation", "Multiplication"]),
        (unary("HardSwish"), ["Affine", "Activation", "Multiplication"]),
        (unary("Selu"), ["Activation", "Affine"]),
        (lambda b, x: b.mul(x, b.sigmoid(b.gap(x))), ["Pooling", "Activation", "Upsampling", "Multiplication"]),
        (resized(2), ["Upsampling"]),
        (resized(2, coordinate_transformation_mode="asymmetric"), ["Upsampling"]),
        (resized(3, coordinate_transformation_mode="asymmetric", nearest_mode="floor"), ["Upsampling"]),
        (resized(1), []),
        (upwards([2, 2], strides=[2, 2]), ["Stuffing", "Convolution"]),
        (upwards([3, 2], strides=[2, 1], pads=[1, 0, 1, 0], output_padding=[1, 0]), ["Stuffing", "Convolution"]),
        (upwards([3, 3], strides=[2, 3], pads=[1, 1, 0, 0]), ["Stuffing", "Convolution"]),
        (upwards([2, 2], dilations=[2, 2]), ["Convolution"]),
        (upwards([3, 3], 2, strides=[2, 2], pads=[1, 1, 1, 1]), ["Stuffing", "Convolution"]),
    ],
)
def test_gates_and_larger_maps(change: Change, wanted: list[str]) -> None:
    b, x = picture()
    assert kinds(check(b.model(change(b, b.relu(b.conv(x, 4)))))) == ["Convolution", "Activation", *wanted]


def test_a_gate_from_dense_layers() -> None:
    b, x = picture()
    x = b.relu(b.conv(x, 4))
    gate = b.reshape(b.sigmoid(b.gemm(b.relu(b.gemm(b.flatten(b.gap(x)), 2)), 4)), -1, 4, 1, 1)
    network = check(b.model(b.conv(b.mul(x, gate), 3)))
    assert kinds(network)[-4:] == ["Activation", "Upsampling", "Multiplication", "Convolution"]


def test_dense_layers_at_each_time_step() -> None:
    b = Builder("steps")
    x = b.input("x", ["N", 5, 3])
    for width in (4, 2):
        x = b.relu(b.node("MatMul", [x, b.const(b.uniform([b.size(x, -1) if width == 2 else 3, width], -1, 1))]))
        b.declare(x, ["N", 5, width])
    network = check(b.model(x))
    assert kinds(network) == ["Convolution", "Activation"] * 2
    assert network.layers[0].shape == (1, 5, 3)


def test_a_fixed_batch_becomes_one() -> None:
    b = Builder("batch")
    x = b.conv_relu(b.input("x", [4, 3, 6, 6]), 4)
    gate = b.reshape(b.sigmoid(b.gemm(b.reshape(b.gap(x), 4, 4), 4)), 4, 4, 1, 1)
    graph = prepared(b.model(b.gemm(b.flatten(b.mul(x, gate)), 3)))
    network = lower(graph)
    assert network.layers[0].shape == (6, 6, 3)
    given = np.random.default_rng(0).standard_normal((4, 3, 6, 6)).astype(np.float32)
    for name, wanted in scores(graph, {"x": given}).items():
        np.testing.assert_allclose(reference.run_tensors(network, {"x": given})[name], wanted, rtol=1e-4, atol=1e-5)


def test_channels_last_are_resized() -> None:
    b, x = picture()
    y = b.transpose(b.conv(x, 4), 0, 2, 3, 1)
    scales = b.const(np.array([1, 2, 2, 1], np.float32))
    y = b.node("Resize", [y, "", scales], coordinate_transformation_mode="asymmetric", nearest_mode="floor")
    b.declare(y, ["N", 14, 12, 4])
    assert kinds(check(b.model(b.conv(b.transpose(y, 0, 3, 1, 2), 2)))) == ["Convolution", "Upsampling", "Convolution"]


def test_a_clip_without_ends_is_nothing() -> None:
    b, x = picture()
    assert kinds(check(b.model(bounded(None, None)(b, b.conv(x, 3))))) == ["Convolution"]


def test_a_sum_of_three_is_a_chain() -> None:
    b, x = picture()
    y = b.node("Sum", [b.conv(x, 3), b.conv(x, 3), b.conv(x, 3)])
    assert kinds(check(b.model(y))) == ["Convolution"] * 3 + ["Addition"] * 2


def test_a_concatenation_of_three_is_a_chain() -> None:
    b, x = picture()
    y = b.concat(b.conv(x, 2), x, b.conv(x, 3), axis=-3)
    assert kinds(check(b.model(y))) == ["Convolution"] * 2 + ["Concatenation"] * 2


def test_channels_last_are_joined_along_the_last_axis() -> None:
    b, x = picture()
    parts = [b.transpose(b.conv(x, width), 0, 2, 3, 1) for width in (2, 3)]
    y = b.transpose(b.concat(*parts, axis=3), 0, 3, 1, 2)
    assert kinds(check(b.model(b.conv(y, 2)))) == ["Convolution"] * 2 + ["Concatenation", "Convolution"]


def test_vectors_are_joined_whatever_they_were() -> None:
    b, x = picture()
    parts = [b.flatten(b.conv(x, 3)), b.gemm(b.flatten(x), 4)]
    check(b.model(b.gemm(b.concat(*parts), 2)))


def test_the_input_takes_the_layout_of_the_first_picture() -> None:
    b = Builder("last")
    x = b.input("x", ["N", 6, 5, 3])
    network = check(b.model(b.conv(b.transpose(x, 0, 3, 1, 2), 4)))
    given = network.layers[0]
    assert isinstance(given, Input) and given.port is not None
    assert given.shape == (6, 5, 3) and (given.port.places.ravel() == np.arange(90)).all()


def test_transposes_cost_nothing() -> None:
    b, x = picture()
    h = b.transpose(b.relu(b.transpose(b.conv(x, 4), 0, 2, 3, 1)), 0, 3, 1, 2)
    flat = b.reshape(b.transpose(b.conv(h, 3), 0, 2, 3, 1), -1, 7 * 6 * 3)
    network = check(b.model(b.gemm(flat, 2)))
    assert kinds(network) == ["Convolution", "Activation", "Convolution", "Flatten", "Dense"]


def test_zeros_around_go_into_the_next_convolution() -> None:
    b, x = picture()
    padded = b.node("Pad", [b.relu(x), b.ints(0, 0, 1, 0, 0, 0, 2, 3), b.const(0.0)])
    network = check(b.model(b.conv(padded, 3, pad=1)))
    assert kinds(network) == ["Activation", "Convolution"]


def test_zeros_around_count_in_a_pool() -> None:
    b, x = picture()
    padded = b.node("Pad", [b.conv(x, 3), b.ints(0, 0, 1, 1, 0, 0, 1, 1)])
    network = check(b.model(b.node("MaxPool", [padded], kernel_shape=[2, 2], strides=[2, 2])))
    assert kinds(network) == ["Convolution", "Convolution", "Pooling"]


@pytest.mark.parametrize("chosen", [[0, 2, 3], [3, 3, 0], [2, 0, 1, 3]])
def test_gathered_channels(chosen: list[int]) -> None:
    b, x = picture()
    kept = b.gather(b.relu(b.conv(x, 4)), chosen, axis=1)
    assert kinds(check(b.model(b.conv(kept, 3, k=1)))) == ["Convolution", "Activation", "Convolution"]


def test_few_of_many_channels_are_selected_before_a_large_kernel() -> None:
    b, x = picture()
    kept = b.gather(b.relu(b.conv(x, 16)), [1, 5], axis=1)
    assert kinds(check(b.model(b.conv(kept, 8)))) == ["Convolution", "Activation", "Convolution", "Convolution"]


@pytest.mark.parametrize(("start", "end", "step"), [(0, 99, 2), (1, 6, 1), (2, 5, 2), (3, 4, 1)])
@pytest.mark.parametrize("axis", [2, 3])
def test_slices_of_pixels(start: int, end: int, step: int, axis: int) -> None:
    b, x = picture()
    check(b.model(b.relu(b.slice(b.conv(x, 3), start, end, axis, step))))


def test_a_softmax_at_the_end_is_left_to_the_host() -> None:
    b, x = picture()
    network = check(b.model(b.softmax(b.gemm(b.flatten(x), 3))))
    assert kinds(network)[-1] == "Dense"
    assert "softmax" in network.notes[0].lower()


def test_a_softmax_that_is_read_again_is_refused() -> None:
    b, x = picture()
    y = b.softmax(b.gemm(b.flatten(x), 3))
    with pytest.raises(LoweringError, match="only at an output"):
        lower(prepared(b.model(y, b.gemm(y, 2))))


def test_two_outputs_in_order() -> None:
    b, x = picture()
    h = b.conv(x, 3)
    network = check(b.model(b.relu(h), h))
    assert [port.tensor for port in network.ports] == ["relu_0_out", "conv_0_out"]
    assert network.outputs == ("relu_0", "conv_0")


def test_an_input_called_input() -> None:
    b = Builder("named")
    network = check(b.model(b.gemm(b.input("input", ["N", 3]), 2)))
    assert network.layers[0].name not in ("input", "output")


@pytest.mark.parametrize(
    ("change", "op", "why"),
    [
        (unary("Erf"), "Erf", "hls4ml has no Erf"),
        (lambda b, x: b.node("Div", [x, b.sigmoid(x)]), "Div", "no division"),
        (lambda b, x: b.mul(x, b.mean(x, 1)), "ReduceMean", "axes"),
        (lambda b, x: b.mul(b.conv(x, 4), b.conv(x, 1)), "Mul", "multiplies shapes"),
        (recurrent, "LSTM", "hls4ml reads it from Keras and PyTorch, not from ONNX"),
        (lambda b, x: b.layer_norm(x), "LayerNormalization", "hls4ml has it, but it is not lowered here"),
        (resized(1.5), "Resize", "as often as the others"),
        (resized(2, mode="linear"), "Resize", "its mode is 'linear'"),
        (resized(3, coordinate_transformation_mode="asymmetric"), "Resize", "does not repeat pixels evenly"),
        (upwards([1, 1], strides=[2, 2]), "ConvTranspose", "shorter than its stride"),
        (upwards([3, 3], strides=[2, 2], auto_pad="SAME_UPPER"), "ConvTranspose", "auto_pad"),
        (lambda b, x: b.conv(b.softmax(x), 2), "Softmax", "only at an output"),
        (lambda b, x: b.concat(x, x, axis=2), "Concat", "rows or columns"),
        (lambda b, x: b.mean(x, 1), "ReduceMean", "axes"),
        (lambda b, x: b.add(x, b.const(b.uniform([1, 1, 7, 6], 0, 1))), "Add", "between pixels"),
        (lambda b, x: b.node("Div", [b.const(1.0), b.sigmoid(x)]), "Div", "divides by"),
        (lambda b, x: b.node("PRelu", [x, b.const(b.uniform([4, 1, 1], 0, 1))]), "PRelu", "slope"),
        (lambda b, x: b.node("Pad", [x, b.ints(0, 0, 1, 1, 0, 0, 1, 1)], mode="edge"), "Pad", "edge"),
        (lambda b, x: b.conv(b.transpose(b.conv(x, 4), 0, 1, 3, 2), 2), "Conv", "regular steps"),
        (lambda b, x: b.add(x, b.gap(x)), "Add", "adds shapes"),
        (lambda b, x: b.conv(b.reshape(b.gemm(b.flatten(x), 8), -1, 2, 2, 2), 2), "Conv", "vector"),
    ],
)
def test_refused(change: Change, op: str, why: str) -> None:
    b, x = picture()
    model = b.model(change(b, b.relu(b.conv(x, 4))))
    with pytest.raises(LoweringError, match=why) as caught:
        lower(prepared(model))
    assert caught.value.op_type == op and caught.value.node_name and caught.value.hint


@pytest.mark.parametrize("shape", [["N", "C"], ["N", 3, "H", 5], [4]])
def test_inputs_of_open_or_several_sizes_are_refused(shape: list[int | str]) -> None:
    b = Builder("open")
    with pytest.raises(LoweringError, match="input 'x'"):
        lower(prepared(b.model(b.relu(b.input("x", shape)))))
