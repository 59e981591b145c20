"""remove-dead-channels: what goes, what stays, and where constants end up."""

import numpy as np
import pytest

from optimise_onnx.backends.ort import OrtRunner
from optimise_onnx.passes.base import Context
from optimise_onnx.passes.cleanup.dead import RemoveDeadChannels
from tests.passes.allocate.devices import Staircase
from tests.passes.cleanup.support import build, checked, normal, ops, shape

DEAD = RemoveDeadChannels()
X = {"x": normal(2, 3, 6, 6)}


def zeroed(array: np.ndarray, rows: list[int], axis: int = 0) -> np.ndarray:
    """A copy with some rows zero."""
    copy = np.moveaxis(array.copy(), axis, 0)
    copy[rows] = 0
    return np.moveaxis(copy, 0, axis)


def two_convolutions(second: str, between: str = "Relu(p)", **weights: np.ndarray) -> tuple[str, dict[str, np.ndarray]]:
    """x, conv w of 8 channels with bias b, an activation, a second convolution v of 5 channels."""
    text = f"""(float[N, 3, 6, 6] x) => (float[N, 5, h, u] y) {{
        p = Conv <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (x, w, b) a = {between} y = {second}
    }}"""
    given = {"w": normal(8, 3, 3, 3), "b": normal(8), "v": normal(5, 8, 1, 1), "d": normal(5)}
    return text, {**given, **weights}


def test_channels_that_nothing_reads_go() -> None:
    text, weights = two_convolutions("Conv(a, v, d)", v=zeroed(normal(5, 8, 1, 1), [1, 4], 1))
    result = checked(build(text, weights), DEAD, X)
    assert shape(result, "w") == (6, 3, 3, 3) and shape(result, "v") == (5, 6, 1, 1)


@pytest.mark.parametrize(("multiple", "left"), [(1, 5), (2, 6), (4, 8), (5, 5), (16, 8)])
def test_widths_stay_multiples_where_that_is_asked(multiple: int, left: int) -> None:
    text, weights = two_convolutions("Conv(a, v, d)", v=zeroed(normal(5, 8, 1, 1), [1, 4, 5], 1))
    result = checked(build(text, weights), RemoveDeadChannels(multiple), X, changes=left < 8)
    assert shape(result, "w") == (left, 3, 3, 3) and shape(result, "v") == (5, left, 1, 1)


def test_the_machine_says_which_multiple_pays_where_something_may_go() -> None:
    text, weights = two_convolutions("Conv(a, v, d)", v=zeroed(normal(5, 8, 1, 1), [1, 4, 5], 1))
    graph = build(text, weights)
    context = Context(OrtRunner(1), graph.copy(), devices=lambda _: Staircase(tread=2))
    assert RemoveDeadChannels(0).run(graph, context).changed and shape(graph, "w") == (6, 3, 3, 3)
    whole = build(*two_convolutions("Conv(a, v, d)", v=normal(5, 8, 1, 1)))
    assert not RemoveDeadChannels(0).run(whole, Context(OrtRunner(1), whole.copy())).changed


@pytest.mark.parametrize(
    ("second", "size", "goes"),
    [
        ("Conv(a, v, d)", (5, 8, 1, 1), True),
        ("Conv(a, v)", (5, 8, 1, 1), True),
        ("Conv <kernel_shape = [3, 3]> (a, v, d)", (5, 8, 3, 3), True),
        ("Conv <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (a, v, d)", (5, 8, 3, 3), False),
        ('Conv <kernel_shape = [3, 3], auto_pad = "SAME_UPPER"> (a, v, d)', (5, 8, 3, 3), False),
        ("ConvTranspose <kernel_shape = [2, 2]> (a, v, d)", (8, 5, 2, 2), False),
    ],
)
@pytest.mark.parametrize("bias", [0.7, -0.7])
def test_a_constant_channel_goes_where_its_reader_can_absorb_it(
    second: str, size: tuple[int, ...], goes: bool, bias: float
) -> None:
    b = normal(8)
    b[[2, 5]] = bias
    text, weights = two_convolutions(second, w=zeroed(normal(8, 3, 3, 3), [2, 5]), b=b, v=normal(*size))
    if "d)" not in second:
        del weights["d"]
    wanted = goes or bias < 0  # the Relu makes it zero
    result = checked(build(text, weights), DEAD, X, changes=wanted)
    assert shape(result, "w")[0] == (6 if wanted else 8)


@pytest.mark.parametrize(
    "between",
    [
        "Sigmoid(p)",
        "HardSwish(p)",
        "Clip(p, c, )",
        "LeakyRelu <alpha = 0.3> (p)",
        "Mul(p, k)",
        "Softplus(p)",
        "Gelu(p)",
    ],
)
def test_functions_of_constants_are_evaluated(between: str) -> None:
    extra = {"c": np.float32([0.2])[0]} if "c" in between else {"k": normal(8, 1, 1)} if "k" in between else {}
    text, weights = two_convolutions("Conv(a, v, d)", between, w=zeroed(normal(8, 3, 3, 3), [0, 3]), **extra)
    result = checked(build(text, weights, opset=20), DEAD, X)
    assert shape(result, "w")[0] == 6


def test_an_unknown_function_of_a_constant_is_unknown() -> None:
    text, weights = two_convolutions("Conv(a, v, d)", "Atan(p)", w=zeroed(normal(8, 3, 3, 3), [0, 3]))
    checked(build(text, weights), DEAD, X, changes=False)


@pytest.mark.parametrize(
    ("pool", "goes"),
    [
        ("MaxPool <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (p)", True),
        ("AveragePool <kernel_shape = [3, 3]> (p)", True),
        ("AveragePool <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (p)", True),
        ("AveragePool <kernel_shape = [3, 3], pads = [1, 1, 1, 1], count_include_pad = 1> (p)", False),
        ("LpPool <kernel_shape = [2, 2]> (p)", False),
        ("GlobalAveragePool(p)", True),
    ],
)
def test_pools_keep_constants_unless_they_average_padding(pool: str, goes: bool) -> None:
    text, weights = two_convolutions("Conv(a, v, d)", pool, w=zeroed(normal(8, 3, 3, 3), [0, 3]))
    checked(build(text, weights), DEAD, X, changes=goes)


@pytest.mark.parametrize(
    ("tail", "last"),
    [
        ("Gemm <alpha = 0.5> (f, v)", "Gemm"),
        ("Gemm <alpha = 0.5, beta = 2.0> (f, v, d)", "Gemm"),
        ("Gemm <transB = 1> (f, t, d)", "Gemm"),
        ("MatMul(f, v)", "Add"),
        ("m = MatMul(f, v) y = Add(m, d)", "Add"),
    ],
)
def test_matrices_absorb_constants(tail: str, last: str) -> None:
    tail = tail if "y =" in tail else f"y = {tail}"
    text = f"(float[N, 4] x) => (float[N, 5] y) {{ p = Gemm(x, w, b) f = Relu(p) {tail} }}"
    weights = {
        "w": zeroed(normal(4, 8), [1, 6], 1),
        "b": np.abs(normal(8)),
        "v": normal(8, 5),
        "t": normal(5, 8),
        "d": normal(5),
    }
    words = set(text.replace(",", " ").replace(")", " ").split())
    weights = {name: array for name, array in weights.items() if name in words or f"({name}" in text}
    result = checked(build(text, weights), DEAD, {"x": normal(3, 4)})
    assert shape(result, "w") == (4, 6) and ops(result)[-1] == last and ops(result).count("Add") <= 1


def test_all_readers_must_absorb_it() -> None:
    text = """(float[N, 3, 6, 6] x) => (float[N, 5, 6, 6] y) {
        p = Conv <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (x, w, b) a = Relu(p) s = Conv(a, v)
        t = Conv <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (a, u) y = Add(s, t)
    }"""
    b = normal(8)
    b[3] = 0.5
    weights = {"w": zeroed(normal(8, 3, 3, 3), [3]), "b": b, "v": normal(5, 8, 1, 1), "u": normal(5, 8, 3, 3)}
    checked(build(text, weights), DEAD, X, changes=False)
    weights["u"][:, 3] = 0
    assert shape(checked(build(text, weights), DEAD, X), "w")[0] == 7


def test_padded_channels_of_an_option_a_shortcut_go_when_they_stay_zero() -> None:
    text = """(float[N, 3, 6, 6] x) => (float[N, 5, 6, 6] y) {
        p = Conv(x, w, b) q = Pad(p, amounts) a = Relu(q) y = Conv <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (a, v)
    }"""
    amounts = np.array([0, 2, 0, 0, 0, 2, 0, 0])
    weights = {"w": normal(4, 3, 1, 1), "b": normal(4), "amounts": amounts, "v": normal(5, 8, 3, 3)}
    result = checked(build(text, weights), DEAD, X)
    assert shape(result, "v") == (5, 4, 3, 3)


def test_layers_that_only_feed_dead_channels_die_with_them() -> None:
    text = """(float[N, 3, 6, 6] x) => (float[N, 5, 6, 6] y) {
        p = Conv(x, w) a = Relu(p) q = Conv(a, u) c = Relu(q) y = Conv(c, v)
    }"""
    u = normal(6, 8, 1, 1)
    u[1:, 4:] = 0
    weights = {"w": normal(8, 3, 1, 1), "u": u, "v": zeroed(normal(5, 6, 1, 1), [0], 1)}
    result = checked(build(text, weights), DEAD, X)
    assert shape(result, "w")[0] == 4 and shape(result, "u") == (5, 4, 1, 1)


def test_groups_lose_equally_many() -> None:
    text = """(float[N, 3, 6, 6] x) => (float[N, 6, 6, 6] y) {
        p = Conv(x, w) a = Relu(p) y = Conv <group = 2> (a, v)
    }"""
    weights = {"w": zeroed(normal(8, 3, 1, 1), [0, 1, 6]), "v": normal(6, 4, 1, 1)}
    assert shape(checked(build(text, weights), DEAD, X), "w")[0] == 6


def test_a_layer_never_loses_its_last_channel() -> None:
    text, weights = two_convolutions("Conv(a, v, d)", v=np.zeros((5, 8, 1, 1), np.float32))
    assert shape(checked(build(text, weights), DEAD, X), "w")[0] == 1


def test_a_quantised_reader_absorbs_nothing_but_zeros() -> None:
    text = """(float[N, 3, 6, 6] x) => (float[N, 5, 6, 6] y) {
        p = Conv(x, w, b) a = Relu(p) v = DequantizeLinear(q, s) y = Conv(a, v)
    }"""
    b = normal(8)
    b[[2, 5]] = 0.5, -0.5
    stored = {"q": np.arange(-20, 20, dtype=np.int8).reshape(5, 8, 1, 1), "s": np.float32([0.1])[0]}
    graph = build(text, {"w": zeroed(normal(8, 3, 1, 1), [2, 5]), "b": b, **stored})
    assert shape(checked(graph, DEAD, X), "w")[0] == 7


def test_two_readers_of_one_weight_absorb_their_own_constants() -> None:
    text = """(float[N, 3, 6, 6] x) => (float[N, 5, 6, 6] y) {
        p = Conv(x, w, b) a = Relu(p) q = Conv(x, u, c) e = Relu(q) s = Conv(a, v) t = Conv(e, v) y = Add(s, t)
    }"""
    weights = {"w": zeroed(normal(8, 3, 1, 1), [2]), "u": zeroed(normal(8, 3, 1, 1, seed=1), [2])}
    weights |= {"b": np.abs(normal(8)), "c": np.abs(normal(8, seed=1)), "v": normal(5, 8, 1, 1)}
    result = checked(build(text, weights), DEAD, X)
    assert shape(result, "w")[0] == shape(result, "u")[0] == 7
    weights["u"][2] = 1
    checked(build(text, weights), DEAD, X, changes=False)
