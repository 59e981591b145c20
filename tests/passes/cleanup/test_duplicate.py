"""merge-duplicate-channels: equal channels, through everything that may lie on their way."""

import numpy as np
import pytest

import optimise_onnx
from optimise_onnx.ir.errors import TargetNotMetError
from optimise_onnx.passes.cleanup.duplicate import MergeDuplicateChannels, folded
from optimise_onnx.passes.cleanup.numbering import equal_rows
from tests.passes.cleanup.support import build, checked, normal, ops, shape

MERGE = MergeDuplicateChannels()
X = {"x": normal(2, 3, 6, 6)}


def doubled(array: np.ndarray, axis: int = 0) -> np.ndarray:
    """The second half along an axis becomes the first again."""
    first = np.split(array, 2, axis)[0]
    return np.concatenate([first, first], axis)


def chain(between: str, **weights: np.ndarray) -> tuple[str, dict[str, np.ndarray]]:
    """x, a convolution w of 8 channels of which 4 are the others again, something, a padded convolution v."""
    text = f"""(float[N, 3, 6, 6] x) => (float[N, 5, h, u] y) {{
        p = Conv <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (x, w, b)
        a = {between} y = Conv <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (a, v, d)
    }}"""
    w, b = doubled(normal(8, 3, 3, 3)), doubled(normal(8))
    return text, {"w": w, "b": b, "v": normal(5, 8, 3, 3), "d": normal(5), **weights}


BETWEEN = [
    "Relu(p)",
    "Mul(p, two)",
    "PRelu(p, slope)",
    "MaxPool <kernel_shape = [2, 2]> (p)",
    "AveragePool <kernel_shape = [3, 3], pads = [1, 1, 1, 1], count_include_pad = 1> (p)",
    "Pad(p, pixels, two)",
    "Resize(p, , scales)",
    "ReduceMean <axes = [2, 3]> (p)",
    "Clip(p, zero, two)",
]
EXTRA = {
    "two": np.float32([2])[0],
    "zero": np.float32([0])[0],
    "slope": np.full((8, 1, 1), 0.3, np.float32),
    "pixels": np.array([0, 0, 1, 1, 0, 0, 1, 1]),
    "scales": np.float32([1, 1, 2, 2]),
}


def extra(text: str) -> dict[str, np.ndarray]:
    return {name: array for name, array in EXTRA.items() if f"{name})" in text or f"{name}," in text}


@pytest.mark.parametrize("between", BETWEEN)
def test_equal_channels_merge(between: str) -> None:
    text, weights = chain(between, **extra(between))
    result = checked(build(text, weights), MERGE, X)
    assert shape(result, "w")[0] == 4 and shape(result, "v")[1] == 4


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"b": normal(8)}, id="other biases"),
        pytest.param({"w": normal(8, 3, 3, 3)}, id="other weights"),
        pytest.param({"w": doubled(normal(8, 3, 3, 3)) * (1 + 1e-6 * normal(8, 3, 3, 3, seed=1))}, id="nearly equal"),
    ],
)
def test_what_is_no_duplicate_stays(change: dict[str, np.ndarray]) -> None:
    text, weights = chain("Relu(p)", **change)
    checked(build(text, weights), MERGE, X, changes=False)


@pytest.mark.parametrize("between", ["PRelu(p, slopes)", "Mul(p, slopes)"])
def test_unequal_slopes_keep_channels_apart(between: str) -> None:
    text, weights = chain(between, slopes=normal(8, 1, 1))
    checked(build(text, weights), MERGE, X, changes=False)
    text, weights = chain(between, slopes=doubled(normal(8, 1, 1)))
    assert shape(checked(build(text, weights), MERGE, X), "slopes")[0] == 4


def test_batch_norm_may_unmake_duplicates() -> None:
    names = "gamma, beta, mean, variance"
    text, weights = chain(f"BatchNormalization(p, {names})")
    norm = {name: np.abs(normal(8, seed=place)) + 0.1 for place, name in enumerate(names.split(", "))}
    checked(build(text, {**weights, **norm}), MERGE, X, changes=False)
    norm = {name: doubled(array) for name, array in norm.items()}
    assert shape(checked(build(text, {**weights, **norm}), MERGE, X), "gamma") == (4,)


RESIDUAL = """(float[N, 3, 6, 6] x) => (float[N, 5, 6, 6] y) {
    p = Conv(x, w, b) a = Relu(p) q = Conv(a, u) s = Add(p, q) y = Conv(s, v)
}"""


def test_a_spine_needs_duplicates_in_every_layer_that_writes_it() -> None:
    weights = {"w": doubled(normal(8, 3, 1, 1)), "b": doubled(normal(8)), "v": normal(5, 8, 1, 1)}
    result = checked(build(RESIDUAL, {**weights, "u": doubled(normal(8, 8, 1, 1))}), MERGE, X)
    assert shape(result, "u") == (4, 4, 1, 1)
    checked(build(RESIDUAL, {**weights, "u": normal(8, 8, 1, 1)}), MERGE, X, changes=False)


def test_the_next_round_finds_rows_that_merging_made_equal() -> None:
    text = """(float[N, 3, 6, 6] x) => (float[N, 5, 6, 6] y) {
        p = Conv(x, w) a = Relu(p) q = Conv(a, u) c = Sigmoid(q) y = Conv(c, v)
    }"""
    u = np.round(16 * normal(2, 4, 1, 1))
    moved = u + np.float32([1, 1, -1, -1]).reshape(4, 1, 1)
    weights = {"w": doubled(normal(4, 3, 1, 1)), "u": np.concatenate([u, moved]), "v": normal(5, 4, 1, 1)}
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
    weights = {"w": doubled(normal(*size), size.index(8)), "b": doubled(normal(8)), "v": normal(5, 8, 1, 1)}
    assert shape(checked(build(text, weights), MERGE, X), "v") == (5, 4, 1, 1)


def test_depthwise_channels_merge_with_their_inputs() -> None:
    text = """(float[N, 3, 6, 6] x) => (float[N, 5, h, u] y) {
        p = Conv(x, w) a = Relu(p) q = Conv <kernel_shape = [3, 3], group = 8> (a, k) c = Relu(q) y = Conv(c, v)
    }"""
    weights = {"w": doubled(normal(8, 3, 1, 1)), "k": doubled(normal(8, 1, 3, 3)), "v": normal(5, 8, 1, 1)}
    result = checked(build(text, weights), MERGE, X)
    assert shape(result, "k") == (4, 1, 3, 3) and result.nodes[2].attributes["group"] == 4
    checked(build(text, {**weights, "k": normal(8, 1, 3, 3)}), MERGE, X, changes=False)


def test_flattened_pixels_of_duplicates_merge_one_by_one() -> None:
    text = """(float[N, 3, 6, 6] x) => (float[N, 5] y) {
        p = Conv(x, w) a = Relu(p) f = Flatten(a) y = Gemm(f, v, d)
    }"""
    weights = {"w": doubled(normal(8, 3, 1, 1)), "v": normal(288, 5), "d": normal(5)}
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
    within[1], within[5], within[6] = within[0], within[4], within[4]
    assert shape(checked(build(GROUPED, {**weights, "w": within}), MERGE, X), "v") == (6, 3, 1, 1)
    across = normal(8, 3, 1, 1)
    across[4] = across[0]
    checked(build(GROUPED, {**weights, "w": across}), MERGE, X, changes=False)


def test_a_shared_weight_is_copied_before_columns_are_added() -> None:
    text = """(float[N, 3, 6, 6] x) => (float[N, 5, 6, 6] y) {
        p = Conv(x, w) a = Relu(p) q = Conv(x, u) c = Relu(q) s = Conv(a, v) t = Conv(c, v) y = Add(s, t)
    }"""
    weights = {"w": doubled(normal(8, 3, 1, 1)), "u": doubled(normal(8, 3, 1, 1, seed=1)), "v": normal(5, 8, 1, 1)}
    result = checked(build(text, weights), MERGE, X)
    assert shape(result, "w")[0] == 4 and ops(result).count("Conv") == 4


def test_values_of_attention_heads_merge() -> None:
    text = """(float[N, 5, 6] x) => (float[N, 5, 7] y) {
        q = MatMul(x, wq) t = Transpose <perm = [0, 2, 1]> (x) k = MatMul(q, t) s = Softmax <axis = -1> (k)
        v = MatMul(x, wv) c = MatMul(s, v) y = MatMul(c, wo)
    }"""
    weights = {"wq": normal(6, 6), "wv": doubled(normal(6, 8), 1), "wo": normal(8, 7)}
    assert shape(checked(build(text, weights), MERGE, {"x": normal(2, 5, 6)}), "wv") == (6, 4)


def test_a_sum_over_channels_has_no_columns_to_add_up() -> None:
    text = """(float[N, 3, 6, 6] x) => (float[N, 1, 6, 6] y) {
        p = Conv(x, w) a = Relu(p) y = ReduceSum(a, axes)
    }"""
    graph = build(text, {"w": doubled(normal(8, 3, 1, 1)), "axes": np.array([1])})
    checked(graph, MERGE, X, changes=False)


def test_columns_are_added_within_their_group() -> None:
    matrix = normal(2, 3, 4, 5)
    target = np.array([0, 0, 2, 0, 4, 5, 5, 7])
    wanted = np.zeros_like(matrix)
    for column, other in enumerate(target):
        wanted[other // 4, :, other % 4] += matrix[column // 4, :, column % 4]
    np.testing.assert_allclose(folded(matrix, target), wanted, rtol=1e-6, atol=1e-6)


def test_rows_are_equal_where_weights_biases_and_inputs_are() -> None:
    matrix = np.ones((2, 3, 2, 1), np.float32)
    matrix[1, 2, 1] = 2
    bias = np.array([1.0, 1, 2, 1, 2, 1])
    assert equal_rows(matrix, np.array([5, 6, 5, 6]), bias).tolist() == [0, 0, 1, 0, 1, 2]
    assert equal_rows(matrix, np.array([5, 6, 6, 5]), bias).tolist() == [0, 0, 1, 2, 3, 4]


@pytest.mark.parametrize("table", [(3, 7, 1), (7, 1)])
def test_a_product_that_only_one_batch_size_has(table: tuple[int, ...]) -> None:
    """Shapes for three samples contradict each other: what a run of one has shown says nothing of channels."""
    text = "(float[N, 3, 6, 6] x) => (float[a, b] y) { h = Conv(x, w) r = Relu(h) g = Conv(r, v) f = Flatten(g)"
    text += " z = Shape(table) t = ConstantOfShape(z) y = Mul(f, t) }"
    weights = {"w": normal(8, 3, 6, 6), "v": normal(5, 8, 1, 1), "table": np.ones(table)}
    text = text if len(table) == 2 else text.replace("[a, b]", "[a, b, c]")
    with pytest.raises(TargetNotMetError):
        optimise_onnx.compress(build(text, weights).to_model(), target="params=0.001x", align=1, cache=False)
