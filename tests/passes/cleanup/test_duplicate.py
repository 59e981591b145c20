"""merge-duplicate-channels: equal and proportional channels, through everything that may lie on their way."""

import numpy as np
import pytest

from optimise_onnx.passes.cleanup.duplicate import MergeDuplicateChannels
from tests.passes.cleanup.support import build, checked, normal, ops, parameters, shape

MERGE = MergeDuplicateChannels()
X = {"x": normal(2, 3, 6, 6)}


def doubled(array: np.ndarray, factor: float = 1.0, axis: int = 0) -> np.ndarray:
    """The second half along an axis becomes a multiple of the first."""
    first = np.split(array, 2, axis)[0]
    return np.concatenate([first, factor * first], axis).astype(array.dtype)


def chain(between: str, factor: float = 1.0, **weights: np.ndarray) -> tuple[str, dict[str, np.ndarray]]:
    """x, a convolution w of 8 channels of which 4 are multiples of the others, something, a padded convolution v."""
    text = f"""(float[N, 3, 6, 6] x) => (float[N, 5, h, u] y) {{
        p = Conv <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (x, w, b)
        a = {between} y = Conv <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (a, v, d)
    }}"""
    w, b = doubled(normal(8, 3, 3, 3), factor), doubled(normal(8), factor)
    return text, {"w": w, "b": b, "v": normal(5, 8, 3, 3), "d": normal(5), **weights}


HOMOGENEOUS = [
    "Relu(p)",
    "LeakyRelu <alpha = 0.2> (p)",
    "Identity(p)",
    "Abs(p)",
    "Mul(p, two)",
    "PRelu(p, slope)",
    "MaxPool <kernel_shape = [2, 2]> (p)",
    "AveragePool <kernel_shape = [3, 3], pads = [1, 1, 1, 1], count_include_pad = 1> (p)",
    "Pad(p, pixels)",
    "Resize(p, , scales)",
    "ReduceMean <axes = [2, 3]> (p)",
    "Max(p, zero)",
]
ONLY_EQUAL = ["Sigmoid(p)", "HardSwish(p)", "Clip(p, zero, two)", "Add(p, two)", "Pad(p, pixels, two)", "Pow(p, two)"]
EXTRA = {
    "two": np.float32([2])[0],
    "zero": np.float32([0])[0],
    "slope": np.full((8, 1, 1), 0.3, np.float32),
    "pixels": np.array([0, 0, 1, 1, 0, 0, 1, 1]),
    "scales": np.float32([1, 1, 2, 2]),
}


def extra(text: str) -> dict[str, np.ndarray]:
    return {name: array for name, array in EXTRA.items() if f"{name})" in text or f"{name}," in text}


@pytest.mark.parametrize("factor", [1.0, 0.37, 3.0])
@pytest.mark.parametrize("between", HOMOGENEOUS)
def test_proportional_channels_merge_through_what_scales(between: str, factor: float) -> None:
    text, weights = chain(between, factor, **extra(between))
    result = checked(build(text, weights), MERGE, X)
    assert shape(result, "w")[0] == 4 and shape(result, "v")[1] == 4


@pytest.mark.parametrize("between", ONLY_EQUAL)
def test_other_functions_let_only_equal_channels_merge(between: str) -> None:
    text, weights = chain(between, 1.0, **extra(between))
    assert shape(checked(build(text, weights), MERGE, X), "w")[0] == 4
    text, weights = chain(between, 2.0, **extra(between))
    checked(build(text, weights), MERGE, X, changes=False)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"b": normal(8)}, id="other biases"),
        pytest.param({"w": doubled(normal(8, 3, 3, 3), -1)}, id="a negative factor"),
        pytest.param({"w": doubled(normal(8, 3, 3, 3)) * (1 + 1e-4 * normal(8, 3, 3, 3, seed=1))}, id="nearly equal"),
    ],
)
def test_what_is_no_duplicate_stays(change: dict[str, np.ndarray]) -> None:
    text, weights = chain("Relu(p)", **change)
    checked(build(text, weights), MERGE, X, changes=False)


def test_unequal_slopes_or_scales_keep_channels_apart() -> None:
    text, weights = chain("PRelu(p, slopes)", slopes=normal(8, 1, 1))
    checked(build(text, weights), MERGE, X, changes=False)
    text, weights = chain("Mul(p, scale)", scale=np.abs(normal(8, 1, 1)) + 0.1)
    assert shape(checked(build(text, weights), MERGE, X), "w")[0] == 4


def test_batch_norm_may_make_or_unmake_duplicates() -> None:
    names = "gamma, beta, mean, variance"
    text, weights = chain(f"BatchNormalization(p, {names})", b=np.zeros(8, np.float32))
    norm = {name: np.abs(normal(8, seed=place)) + 0.1 for place, name in enumerate(names.split(", "))}
    checked(build(text, {**weights, **norm}), MERGE, X, changes=False)
    norm = {name: doubled(array) for name, array in norm.items()}
    assert shape(checked(build(text, {**weights, **norm}), MERGE, X), "gamma") == (4,)


RESIDUAL = """(float[N, 3, 6, 6] x) => (float[N, 5, 6, 6] y) {
    p = Conv(x, w, b) a = Relu(p) q = Conv(a, u) s = Add(p, q) y = Conv(s, v)
}"""


def test_a_spine_needs_duplicates_in_every_layer_that_writes_it() -> None:
    weights = {"w": doubled(normal(8, 3, 1, 1), 2.0), "b": doubled(normal(8), 2.0), "v": normal(5, 8, 1, 1)}
    both = {**weights, "u": doubled(normal(8, 8, 1, 1), 2.0)}
    result = checked(build(RESIDUAL, both), MERGE, X)
    assert shape(result, "u") == (4, 4, 1, 1)
    checked(build(RESIDUAL, {**weights, "u": normal(8, 8, 1, 1)}), MERGE, X, changes=False)
    other = {**weights, "u": doubled(normal(8, 8, 1, 1), 1.0)}
    checked(build(RESIDUAL, other), MERGE, X, changes=False)


def test_one_sweep_finds_rows_that_are_equal_only_after_merging() -> None:
    text = """(float[N, 3, 6, 6] x) => (float[N, 5, 6, 6] y) {
        p = Conv(x, w) a = Relu(p) q = Conv(a, u) c = Sigmoid(q) y = Conv(c, v)
    }"""
    u = normal(2, 4, 1, 1)
    shifted = u.copy()
    shifted[:, :2] += 1
    shifted[:, 2:] -= 1
    weights = {"w": doubled(normal(4, 3, 1, 1)), "u": np.concatenate([u, shifted]), "v": normal(5, 4, 1, 1)}
    result = checked(build(text, weights), MERGE, X)
    assert shape(result, "u") == (2, 2, 1, 1)


@pytest.mark.parametrize(
    ("producer", "size"),
    [
        ("ConvTranspose <kernel_shape = [2, 2]> (x, w, b)", (3, 8, 2, 2)),
        ("Conv <kernel_shape = [3, 3], group = 1> (x, w, b)", (8, 3, 3, 3)),
    ],
)
def test_producers_of_either_layout(producer: str, size: tuple[int, ...]) -> None:
    text = f"(float[N, 3, 6, 6] x) => (float[N, 5, h, u] y) {{ p = {producer} a = Relu(p) y = Conv(a, v) }}"
    weights = {"w": doubled(normal(*size), 2.0, size.index(8)), "b": doubled(normal(8), 2.0), "v": normal(5, 8, 1, 1)}
    assert shape(checked(build(text, weights), MERGE, X), "v") == (5, 4, 1, 1)


def test_depthwise_channels_merge_with_their_inputs() -> None:
    text = """(float[N, 3, 6, 6] x) => (float[N, 5, h, u] y) {
        p = Conv(x, w) a = Relu(p) q = Conv <kernel_shape = [3, 3], group = 8> (a, k) c = Relu(q) y = Conv(c, v)
    }"""
    weights = {"w": doubled(normal(8, 3, 1, 1), 0.5), "k": doubled(normal(8, 1, 3, 3), 4.0), "v": normal(5, 8, 1, 1)}
    result = checked(build(text, weights), MERGE, X)
    assert shape(result, "k") == (4, 1, 3, 3) and result.nodes[2].attributes["group"] == 4
    checked(build(text, {**weights, "k": normal(8, 1, 3, 3)}), MERGE, X, changes=False)


def test_flattened_pixels_of_duplicates_merge_one_by_one() -> None:
    text = """(float[N, 3, 6, 6] x) => (float[N, 5] y) {
        p = Conv(x, w) a = Relu(p) f = Flatten(a) y = Gemm(f, v, d)
    }"""
    weights = {"w": doubled(normal(8, 3, 1, 1), 2.0), "v": normal(288, 5), "d": normal(5)}
    assert shape(checked(build(text, weights), MERGE, X), "v") == (144, 5)


def test_duplicates_in_different_branches_of_a_concat_merge() -> None:
    text = """(float[N, 3, 6, 6] x) => (float[N, 5, 6, 6] y) {
        p = Conv(x, w) q = Conv(x, u) c = Concat <axis = 1> (p, x, q) y = Conv(c, v)
    }"""
    weights = {"w": doubled(normal(4, 3, 1, 1)), "u": doubled(normal(6, 3, 1, 1)), "v": normal(5, 13, 1, 1)}
    assert shape(checked(build(text, weights), MERGE, X), "v") == (5, 8, 1, 1)


GROUPED = "(float[N, 3, 6, 6] x) => (float[N, 6, 6, 6] y) { p = Conv(x, w) a = Relu(p) y = Conv <group = 2> (a, v) }"


def test_groups_merge_only_within_and_equally() -> None:
    weights = {"v": normal(6, 4, 1, 1)}
    within = normal(8, 3, 1, 1)
    within[1], within[5], within[6] = within[0], 2 * within[4], within[4]
    assert shape(checked(build(GROUPED, {**weights, "w": within}), MERGE, X), "v") == (6, 3, 1, 1)
    across = normal(8, 3, 1, 1)
    across[4] = across[0]
    checked(build(GROUPED, {**weights, "w": across}), MERGE, X, changes=False)


def test_groups_that_all_read_one_value_become_one() -> None:
    w = np.broadcast_to(normal(1, 3, 1, 1), (8, 3, 1, 1)).copy()
    text = GROUPED.replace("y = Conv <group = 2> (a, v)", "c = Conv <group = 2> (a, v) y = Conv(c, u)")
    weights = {"w": w, "v": normal(6, 4, 1, 1), "u": normal(6, 6, 1, 1)}
    result = checked(build(text, weights), MERGE, X)
    assert shape(result, "w")[0] <= 2 and parameters(result) < parameters(build(text, weights)) / 2


def test_a_shared_weight_is_copied_before_columns_are_added() -> None:
    text = """(float[N, 3, 6, 6] x) => (float[N, 5, 6, 6] y) {
        p = Conv(x, w) a = Relu(p) q = Conv(x, u) c = Relu(q) s = Conv(a, v) t = Conv(c, v) y = Add(s, t)
    }"""
    weights = {"w": doubled(normal(8, 3, 1, 1)), "u": doubled(normal(8, 3, 1, 1, seed=1), 3.0), "v": normal(5, 8, 1, 1)}
    result = checked(build(text, weights), MERGE, X)
    assert shape(result, "w")[0] == 4 and ops(result).count("Conv") == 4


def test_values_of_attention_heads_merge() -> None:
    text = """(float[N, 5, 6] x) => (float[N, 5, 7] y) {
        q = MatMul(x, wq) t = Transpose <perm = [0, 2, 1]> (x) k = MatMul(q, t) s = Softmax <axis = -1> (k)
        v = MatMul(x, wv) c = MatMul(s, v) y = MatMul(c, wo)
    }"""
    weights = {"wq": normal(6, 6), "wv": doubled(normal(6, 8), 2.0, 1), "wo": normal(8, 7)}
    assert shape(checked(build(text, weights), MERGE, {"x": normal(2, 5, 6)}), "wv") == (6, 4)


def test_a_sum_over_channels_cannot_take_a_factor() -> None:
    text = """(float[N, 3, 6, 6] x) => (float[N, 1, 6, 6] y) {
        p = Conv(x, w) a = Relu(p) y = ReduceSum(a, axes)
    }"""
    graph = build(text, {"w": doubled(normal(8, 3, 1, 1)), "axes": np.array([1])})
    checked(graph, MERGE, X, changes=False)


def test_integer_division_does_not_scale() -> None:
    text = """(int64[N, 8] i, float[N, 4] x) => (float[N, 5] y) {
        h = Div(i, c) g = Mul(h, e) f = Cast <to = 1> (g) m = MatMul(x, w) s = Add(m, f) y = MatMul(s, v)
    }"""
    ints = {"c": np.array([2, 4] * 4), "e": np.array([2, 4] * 4)}
    graph = build(text, {**ints, "w": np.zeros((4, 8), np.float32), "v": normal(8, 5)})
    feeds = {"i": np.arange(16).reshape(2, 8), "x": normal(2, 4)}
    checked(graph, MERGE, feeds, changes=False)
