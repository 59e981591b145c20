"""Convolutions, pools and products by hypothesis, against onnxruntime."""

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from optimise_onnx.backends.hls.lowering import lower
from optimise_onnx.backends.hls.lowering.fold import drop_unread
from optimise_onnx.backends.hls.network import Convolution, Dense, Pooling
from optimise_onnx.ir.errors import LoweringError
from tests.backends.hls.lowered import SIDE, check, kinds, picture, prepared
from tests.backends.hls.networks import Maker
from tests.zoo.builder import Builder

PAIRS = st.tuples(st.integers(1, 3), st.integers(1, 3))
AUTO = st.sampled_from(["NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"])


@given(PAIRS, PAIRS, PAIRS, st.tuples(*[st.integers(0, 2)] * 4), AUTO, st.sampled_from([1, 2, 4]), st.integers(1, 2))
def test_convolution(size: Any, strides: Any, dilations: Any, pads: Any, auto: str, group: int, each: int) -> None:
    assume(dilations == (1, 1) or not auto.startswith("SAME"))  # onnxruntime refuses both at once
    added = pads if auto == "NOTSET" else (0, 0, 0, 0)
    reach = [(k - 1) * d + 1 for k, d in zip(size, dilations, strict=True)]
    assume(all(n + p + q >= k for n, p, q, k in zip(SIDE, added[:2], added[2:], reach, strict=True)))
    b, x = picture()
    placing = {"pads": pads} if auto == "NOTSET" else {"auto_pad": auto}
    weight = b.weight([4 * each, 4 // group, *size])
    y = b.node("Conv", [x, weight, b.vector(4 * each)], strides=strides, dilations=dilations, group=group, **placing)
    network = check(b.model(y))
    (layer,) = network.layers[1:]
    assert isinstance(layer, Convolution)
    assert layer.depthwise == (group == 4 and each == 1)


@given(st.sampled_from(["MaxPool", "AveragePool"]), PAIRS, PAIRS, st.data(), AUTO, st.booleans(), st.booleans())
def test_pools(op: str, size: Any, strides: Any, data: Any, auto: str, ceil: bool, counted: bool) -> None:
    b, x = picture(3)
    pads = [data.draw(st.integers(0, k - 1)) for k in (*size, *size)]
    ceil = ceil and auto == "NOTSET"
    counted = counted and op == "AveragePool"
    assume(not auto.startswith("SAME") or all(k >= s for k, s in zip(size, strides, strict=True)))
    assume(not (ceil and counted))
    options: dict[str, Any] = {"pads": pads} if auto == "NOTSET" else {"auto_pad": auto}
    if ceil:
        # A window that would start in the padding behind is left out by onnxruntime and not by shape inference.
        spans = zip(SIDE, size, strides, pads[:2], pads[2:], strict=True)
        assume(all((-(-(n + p + q - k) // s)) * s < n + p for n, k, s, p, q in spans))
        options["ceil_mode"] = 1
    if counted:
        options["count_include_pad"] = 1
    check(b.model(b.node(op, [x], kernel_shape=size, strides=strides, **options)))


@pytest.mark.parametrize("op", ["MaxPool", "AveragePool"])
def test_a_size_rounded_up(op: str) -> None:
    b, x = picture()
    layer = check(b.model(b.node(op, [x], kernel_shape=[2, 3], strides=[2, 2], ceil_mode=1))).layers[-1]
    assert isinstance(layer, Pooling)
    assert layer.shape == (4, 3, 4) and layer.pads == (0, 0, 1, 1)


def test_counted_zeros_with_a_size_rounded_up_are_refused() -> None:
    b, x = picture()
    options = {"pads": [1, 1, 1, 1], "ceil_mode": 1, "count_include_pad": 1}
    y = b.node("AveragePool", [x], kernel_shape=[3, 3], strides=[2, 2], **options)
    with pytest.raises(LoweringError, match="counts padded zeros"):
        lower(prepared(b.model(y)))


@pytest.mark.parametrize("op", ["Conv", "MaxPool"])
def test_in_one_dimension(op: str) -> None:
    b = Builder("rows")
    x = b.input("x", ["N", 3, 11])
    y = b.conv(x, 5, 3, stride=2) if op == "Conv" else b.node(op, [x], kernel_shape=[3], strides=[2], pads=[1, 0])
    network = check(b.model(b.gemm(b.flatten(b.relu(y)), 4)))
    assert network.layers[0].shape == (1, 11, 3)


@pytest.mark.parametrize("keepdims", [0, 1])
@pytest.mark.parametrize("op", ["ReduceMean", "ReduceMax"])
def test_reductions_over_all_pixels(op: str, keepdims: int) -> None:
    b, x = picture()
    y = b.node(op, [b.conv(x, 5)], axes=[-1, 2], keepdims=keepdims)
    network = check(b.model(b.gemm(b.flatten(y), 3)))
    assert kinds(network) == ["Convolution", "Pooling", "Flatten", "Dense"]
    pooled = network.layers[2]
    assert isinstance(pooled, Pooling) and pooled.size == SIDE


def test_rows_of_a_product_follow_the_pixels() -> None:
    b, x = picture()
    y = b.gemm(b.flatten(b.conv(x, 5)), 6)
    network = check(b.model(y))
    assert kinds(network) == ["Convolution", "Flatten", "Dense"]


def test_a_product_at_each_pixel_is_a_convolution() -> None:
    b, x = picture()
    y = b.matmul(b.transpose(b.conv(x, 5), 0, 2, 3, 1), 6)
    assert kinds(check(b.model(b.relu(y)))) == ["Convolution", "Convolution", "Activation"]


@pytest.mark.parametrize("trans", [0, 1])
def test_gemm_with_factors(trans: int) -> None:
    b = Builder("vectors")
    x = b.input("x", ["N", 5])
    weight = b.weight([4, 5] if trans else [5, 4])
    y = b.node("Gemm", [x, weight, b.vector(4)], transB=trans, alpha=0.5, beta=2.0)
    assert kinds(check(b.model(y))) == ["Dense"]


@pytest.mark.parametrize("shared", [True, False])
def test_weights_that_a_node_transposes(shared: bool) -> None:
    """Encoder and decoder of one matrix, which stays stored once, and codes behind a dequantisation."""
    b = Builder("tied")
    x, weight = b.input("x", ["N", 5]), b.weight([5, 4])
    h = b.relu(b.node("MatMul", [x, weight]))
    if not shared:
        codes = b.const(b.rng.integers(-100, 100, [5, 4]).astype(np.int8))
        weight = b.node("DequantizeLinear", [codes, b.const(b.uniform([5], 0.01, 0.1))], axis=0)
    network = check(b.model(b.node("MatMul", [h, b.transpose(weight, 1, 0)])))
    assert kinds(network)[-1] == "Dense"


def test_scales_are_folded_into_what_they_alone_read() -> None:
    b, x = picture()
    y = b.bn(b.depthwise(b.bn(b.conv(x, 4))))
    y = b.node("Div", [b.node("Sub", [b.const(1.0), y]), b.const(b.uniform([4, 1, 1], 1, 2))])
    assert kinds(check(b.model(y))) == ["Convolution", "Convolution"]


def test_scales_stay_where_others_read_before_them() -> None:
    b, x = picture()
    h = b.conv(x, 4)
    assert kinds(check(b.model(b.add(h, b.bn(h))))) == ["Convolution", "Affine", "Addition"]
    b, x = picture()
    h = b.conv(x, 4)
    assert kinds(check(b.model(h, b.bn(h)))) == ["Convolution", "Affine"]


def test_weights_behind_a_scale_and_a_zero_point() -> None:
    b, x = picture()
    codes = b.const(np.arange(8, dtype=np.uint8).reshape(2, 4, 1, 1))
    scale, zero = b.const(b.uniform([2], 0.1, 0.2)), b.const(np.array([3, 5], np.uint8))
    weight = b.node("DequantizeLinear", [codes, scale, zero], axis=0)
    assert kinds(check(b.model(b.node("Conv", [x, weight])))) == ["Convolution"]


def test_dense_takes_up_its_bias() -> None:
    b = Builder("vectors")
    network = check(b.model(b.bn(b.matmul(b.input("x", ["N", 5]), 4))))
    (layer,) = network.layers[1:]
    assert isinstance(layer, Dense) and np.any(layer.bias)


def test_what_nobody_reads_is_dropped() -> None:
    net = Maker((4, 4, 2))
    net.curve("unread", net.conv("c1", "x", 3, (1, 1)))
    net.conv("c2", "x", 3, (1, 1))
    assert [layer.name for layer in drop_unread(net.network("c2")).layers] == ["x", "c2"]
    assert [layer.name for layer in drop_unread(net.network("x")).layers] == ["x"]
