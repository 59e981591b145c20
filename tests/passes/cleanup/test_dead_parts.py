"""remove-dead-channels on whole parts: branches of zeros, gates that never move, quantised rows of zeros."""

import numpy as np
import pytest

from optimise_onnx.backends.ort import OrtRunner
from optimise_onnx.ir.sizes import Sizes
from optimise_onnx.passes.base import Context
from optimise_onnx.passes.cleanup.dead import RemoveDeadChannels

from .support import Array, build, checked, normal, ops, parameters, shape

DEAD = RemoveDeadChannels()
X = {"x": normal(2, 3, 6, 6)}
ZERO = np.zeros


def test_a_residual_branch_of_zeros_goes() -> None:
    text = """(float[N, 3, 6, 6] x) => (float[N, 4, 6, 6] y) {
        s = Conv(x, first) r = Conv(s, inner) q = Relu(r) z = Conv(q, none) t = Add(s, z) y = Conv(t, last)
    }"""
    weights = {
        "first": normal(8, 3, 1, 1),
        "inner": normal(8, 8, 1, 1),
        "none": ZERO((8, 8, 1, 1)),
        "last": normal(4, 8, 1, 1),
    }
    assert ops(checked(build(text, weights), DEAD, X)) == ["Conv", "Conv"]


def test_a_part_of_a_concatenation_goes_with_all_that_makes_it() -> None:
    text = """(float[N, 3, 6, 6] x) => (float[N, 4, 6, 6] y) {
        a = Conv(x, first) r = Conv(x, inner) z = Conv(r, none) b = Relu(z) t = Concat<axis = 1>(b, a) y = Conv(t, last)
    }"""
    weights = {
        "first": normal(8, 3, 1, 1),
        "inner": normal(8, 3, 1, 1),
        "none": ZERO((6, 8, 1, 1)),
        "last": normal(4, 14, 1, 1),
    }
    result = checked(build(text, weights), DEAD, X)
    assert ops(result) == ["Conv", "Concat", "Conv"]
    assert shape(result, "last") == (4, 8, 1, 1)


def test_a_part_that_something_else_reads_keeps_one_channel() -> None:
    text = """(float[N, 3, 6, 6] x) => (float[N, 4, 6, 6] y, float[N, 4, 6, 6] u) {
        a = Conv(x, first) z = Conv(x, none) t = Concat<axis = 1>(z, a) y = Conv(t, last) u = Conv(z, other)
    }"""
    weights = {
        "first": normal(8, 3, 1, 1),
        "none": ZERO((6, 3, 1, 1)),
        "last": normal(4, 14, 1, 1),
        "other": normal(4, 6, 1, 1),
    }
    result = checked(build(text, weights), DEAD, X)
    assert shape(result, "none")[0] == 1 and shape(result, "last")[1] == 9


@pytest.mark.parametrize(("bias", "left"), [(ZERO(8), 1), (np.linspace(-1, 1, 8), 8)])
def test_a_gate_that_never_moves_is_stored(bias: Array, left: int) -> None:
    """One number where all channels have the same, else one a channel."""
    text = """(float[N, 3, 6, 6] x) => (float[N, 4, 6, 6] y) {
        s = Conv(x, first) p = GlobalAveragePool(s) r = Conv(p, squeeze) z = Conv(r, none, bias) g = Sigmoid(z)
        t = Mul(g, s) y = Conv(t, last)
    }"""
    weights = {"first": normal(8, 3, 1, 1), "squeeze": normal(2, 8, 1, 1), "none": ZERO((8, 2, 1, 1)), "bias": bias}
    result = checked(build(text, {**weights, "last": normal(4, 8, 1, 1)}), DEAD, X)
    assert ops(result) == ["Conv", "Mul", "Conv"]
    assert parameters(result) == 24 + left + 32


def test_a_gate_that_moves_stays() -> None:
    text = """(float[N, 3, 6, 6] x) => (float[N, 4, 6, 6] y) {
        s = Conv(x, first) p = GlobalAveragePool(s) z = Conv(p, squeeze) g = Sigmoid(z) t = Mul(g, s) y = Conv(t, last)
    }"""
    weights = {"first": normal(8, 3, 1, 1), "squeeze": normal(8, 8, 1, 1), "last": normal(4, 8, 1, 1)}
    checked(build(text, weights), DEAD, X, changes=False)


def test_what_broadcasts_an_operand_keeps_its_shape() -> None:
    """The constant is larger than what it is added to, so it may not shrink to a number."""
    text = """(float[N, 3, 6, 6] x) => (float[N, 8, 6, 6] y) {
        z = Conv(x, none) p = GlobalAveragePool(x) m = ReduceMean<axes = [1]>(p) t = Add(z, m) y = Relu(t)
    }"""
    checked(build(text, {"none": ZERO((8, 3, 1, 1))}), DEAD, X, changes=False)


def test_channels_that_an_instance_norm_makes_constant_go() -> None:
    text = """(float[N, 3, 6, 6] x) => (float[N, 4, 6, 6] y) {
        a = Conv(x, first, bias) n = InstanceNormalization(a, scale, shift) r = Relu(n) y = Conv(r, last)
    }"""
    first, scale, shift, bias = normal(8, 3, 1, 1), np.ones(8), ZERO(8), normal(8)
    first[[0, 1]] = 0  # constant over all positions
    scale[[2, 3]] = 0
    shift[[1, 3]] = -1
    weights = {"first": first, "bias": bias, "scale": scale, "shift": shift, "last": normal(4, 8, 1, 1)}
    assert shape(checked(build(text, weights), DEAD, X), "first") == (4, 3, 1, 1)


def test_zeros_go_on_through_crops_samples_and_deformed_convolutions() -> None:
    text = """(float[N, 3, 6, 6] x, float[N, 4, 4, 2] grid, float[N, 18, 4, 4] moves) => (float[N, 4, 4, 4] y) {
        a = Conv(x, first, bias) r = Relu(a) c = CenterCropPad<axes = [2, 3]>(r, size) s = GridSample(c, grid)
        d = DeformConv<kernel_shape = [3, 3], pads = [1, 1, 1, 1]>(s, inner, moves, shift) t = Relu(d) y = Conv(t, last)
    }"""
    first, inner, bias, shift = normal(8, 3, 1, 1), normal(8, 8, 3, 3), normal(8), normal(8)
    first[:3], bias[:3], inner[2:4], shift[2:4] = 0, -1, 0, (-1, 2)
    weights = {"first": first, "bias": bias, "inner": inner, "shift": shift, "last": normal(4, 8, 1, 1)}
    graph = build(text, {**weights, "size": np.array([5, 8])}, opset=20)
    feeds = X | {"grid": np.clip(normal(2, 4, 4, 2), -1, 1), "moves": normal(2, 18, 4, 4)}
    result = checked(graph, DEAD, feeds)
    assert shape(result, "first") == (5, 3, 1, 1) and shape(result, "inner") == (6, 5, 3, 3)


def test_a_crop_of_channels_is_not_followed() -> None:
    text = """(float[N, 3, 6, 6] x) => (float[N, 4, 6, 6] y) {
        a = Conv(x, first) c = CenterCropPad<axes = [1]>(a, size) y = Conv(c, last)
    }"""
    first = normal(8, 3, 1, 1)
    first[[0, 3]] = 0
    graph = build(text, {"first": first, "size": np.array([4]), "last": normal(4, 4, 1, 1)}, opset=20)
    checked(graph, DEAD, X, changes=False)


@pytest.mark.parametrize("zero", [0, 7])
def test_quantised_rows_of_zeros_go(zero: int) -> None:
    """Weights and biases behind DequantizeLinear, activations through both quantisers between."""
    text = """(float[N, 3, 6, 6] x) => (float[N, 4, 6, 6] y) <
        float step = {0.02}, uint8 middle = {128}, float other = {0.01}> {
        w = DequantizeLinear<axis = 0>(wq, ws, wz) b = DequantizeLinear<axis = 0>(bq, ws)
        v = DequantizeLinear(vq, other)
        a = Conv<kernel_shape = [3, 3], pads = [1, 1, 1, 1]>(x, w, b)
        q = QuantizeLinear(a, step, middle) d = DequantizeLinear(q, step, middle) r = Relu(d)
        y = Conv<kernel_shape = [3, 3], pads = [1, 1, 1, 1]>(r, v)
    }"""
    rng = np.random.default_rng(0)
    stored = rng.integers(-100, 100, (8, 3, 3, 3)).astype(np.int8)
    bias = rng.integers(-10, 10, 8).astype(np.int32)
    stored[[2, 5]], bias[[2, 5]] = zero, 0
    weights = {
        **{"wq": stored, "ws": np.linspace(0.01, 0.02, 8).astype(np.float32), "wz": np.full(8, zero, np.int8)},
        **{"bq": bias, "vq": rng.integers(-100, 100, (4, 8, 3, 3)).astype(np.int8)},
    }
    result = checked(build(text, weights), DEAD, X)
    assert shape(result, "wq") == (6, 3, 3, 3) and shape(result, "vq") == (4, 6, 3, 3)


def test_what_is_as_long_as_the_input_is_not_stored() -> None:
    """Strides of two levels, as exported detectors multiply boxes by: one number a position, of an open size."""
    text = """(float[N, 3, h] x) => (float[N, 3, k] y) {
        s = Shape(x)  l = Slice(s, two, three)  e = Concat<axis = 0>(one, l)  a = Expand(eight, e)
        b = Expand(sixteen, e)  c = Concat<axis = 1>(a, b)  d = Concat<axis = 2>(x, x)  y = Mul(d, c) }"""
    numbers = {"two": np.array([2]), "three": np.array([3]), "one": np.array([1])}
    graph = build(text, {**numbers, "eight": np.array([[8.0]]), "sixteen": np.array([[16.0]])})
    before = graph.copy()
    graph.sizes = Sizes({"N": 1, "h": 6}, frozenset())
    DEAD.run(graph, Context(OrtRunner(1), before))
    for length in (6, 4):
        feeds = {"x": normal(1, 3, length)}
        wanted, got = (OrtRunner(1).session(each).run(feeds)["y"] for each in (before, graph))
        np.testing.assert_array_equal(wanted, got)
