"""fold-batch-norm: every producer with every affine form, and every refusal."""

import numpy as np
import pytest

from optimise_onnx.passes.cleanup.batch_norm import FoldBatchNorm
from tests.passes.cleanup.support import applied, build, checked, normal, ops, shape

FOLD = FoldBatchNorm()
X = {"x": normal(2, 4, 6, 5)}
CONVOLUTIONS = {
    "conv": ("Conv <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (x, w)", (6, 4, 3, 3)),
    "conv bias": ("Conv <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (x, w, b)", (6, 4, 3, 3)),
    "grouped": ("Conv <kernel_shape = [3, 3], group = 2> (x, w, b)", (6, 2, 3, 3)),
    "transposed": ("ConvTranspose <kernel_shape = [2, 2], strides = [2, 2]> (x, w, b)", (4, 6, 2, 2)),
    "transposed grouped": ("ConvTranspose <kernel_shape = [2, 2], group = 2> (x, w, b)", (4, 3, 2, 2)),
}
NORM = "BatchNormalization(p, gamma, beta, mean, variance)"
FORMS = {
    "batch norm": NORM,
    "mul": "Mul(p, c)",
    "mul left": "Mul(c, p)",
    "add": "Add(p, c)",
    "sub": "Sub(p, c)",
    "sub left": "Sub(c, p)",
    "div": "Div(p, c)",
    "scalar": "Mul(p, k)",
}


def statistics(size: int) -> dict[str, np.ndarray]:
    return {
        "gamma": normal(size, seed=1),
        "beta": normal(size, seed=2),
        "mean": normal(size, seed=3),
        "variance": np.abs(normal(size, seed=4)) + 0.1,
        "c": (np.abs(normal(size, 1, 1, seed=5)) + 0.5),
        "k": np.float32([3])[0],
        "b": normal(size, seed=6),
    }


def used(text: str, weights: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    words = set(text.replace("(", " ").replace(")", " ").replace(",", " ").split())
    return {name: array for name, array in weights.items() if name in words}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("producer", CONVOLUTIONS)
def test_it_goes_into_a_convolution(producer: str, form: str) -> None:
    call, size = CONVOLUTIONS[producer]
    text = f"(float[N, 4, 6, 5] x) => (float[N, 6, h, v] y) {{ p = {call} y = {FORMS[form]} }}"
    graph = build(text, used(text, {"w": normal(*size), **statistics(6)}))
    assert ops(checked(graph, FOLD, X)) == [call.split()[0]]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "call",
    [
        "Gemm(x, w)",
        "Gemm(x, w, b)",
        "Gemm <alpha = 0.5, beta = 2.0> (x, w, b)",
        "Gemm <transB = 1, alpha = 0.5> (x, t, b)",
        "MatMul(x, w)",
    ],
)
def test_it_goes_into_a_matrix(call: str, form: str) -> None:
    text = f"(float[N, 4] x) => (float[N, 6] y) {{ p = {call} y = {FORMS[form]} }}"
    weights = {**statistics(6), "c": statistics(6)["c"].ravel(), "w": normal(4, 6), "t": normal(6, 4)}
    base = call.startswith("MatMul") and form == "add"
    result = checked(build(text, used(text, weights)), FOLD, {"x": normal(3, 4)}, changes=not base)
    assert ops(result)[0] == call.split()[0].split("(")[0] and len(ops(result)) <= 2
    assert set(ops(result)[1:]) <= {"Add"}


def test_tensorflow_chains_become_one_bias() -> None:
    text = """(float[N, S, 4] x) => (float[N, S, 6] y) {
        p = MatMul(x, w) a = Add(p, b) m = Mul(a, gamma) s = Sub(m, mean) y = Add(s, beta)
    }"""
    result = checked(build(text, used(text, {**statistics(6), "w": normal(4, 6)})), FOLD, {"x": normal(2, 3, 4)})
    assert ops(result) == ["MatMul", "Add"]


def test_scales_after_a_batch_norm_go_into_it() -> None:
    text = """(float[N, 6, 4, 4] p) => (float[N, 6, 4, 4] y) {
        n = BatchNormalization(p, gamma, beta, mean, variance) m = Mul(n, c) a = Add(m, c) y = Relu(a)
    }"""
    result = checked(build(text, used(text, statistics(6))), FOLD, {"p": normal(2, 6, 4, 4)})
    assert ops(result) == ["BatchNormalization", "Relu"]


def test_a_shared_weight_is_not_copied_and_a_shared_bias_is() -> None:
    text = f"""(float[N, 4, 6, 5] x) => (float[N, 6, 4, 3] y, float[N, 6, 4, 3] z) {{
        p = Conv <kernel_shape = [3, 3]> (x, w, b) y = {NORM} z = Conv <kernel_shape = [3, 3]> (x, w, b)
    }}"""
    given = used(text, {**statistics(6), "w": normal(6, 4, 3, 3)})
    checked(build(text, given), FOLD, X, changes=False)
    single = text.replace("z = Conv <kernel_shape = [3, 3]> (x, w, b)", "z = Conv <kernel_shape = [3, 3]> (x, u, b)")
    graph = build(single, {**given, "u": normal(6, 4, 3, 3)})
    result = checked(graph, FOLD, X)
    assert np.array_equal(result.tensors()["b"].array, graph.tensors()["b"].array)
    assert ops(result) == ["Conv", "Conv"]


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(f"p = Conv <kernel_shape = [3, 3]> (x, w) n = {NORM} y = Add(n, p)", id="two readers"),
        pytest.param("p = Conv <kernel_shape = [3, 3]> (x, w) y = Mul(p, f)", id="not one value a channel"),
        pytest.param("p = Conv <kernel_shape = [3, 3]> (x, w) y = Mul(p, e)", id="broadcasts to more axes"),
        pytest.param("p = Conv <kernel_shape = [3, 3]> (x, w) y = Div(c, p)", id="a reciprocal"),
        pytest.param(
            "v = Cast <to = 1> (d) p = Conv <kernel_shape = [3, 3]> (x, v) y = Mul(p, c)", id="no stored float"
        ),
        pytest.param("p = Conv <kernel_shape = [3, 3]> (x, w) y = Mul(p, p)", id="no constant"),
        pytest.param("p = Conv <kernel_shape = [3, 3]> (x, w) y = Mul(p, z)", id="out of range"),
    ],
)
def test_it_stays(body: str) -> None:
    extra = {"f": normal(4, 3), "e": normal(2, 1, 6, 1, 1), "d": normal(6, 4, 3, 3).astype(np.float16)}
    rank = ["a", "b", "h", "v"] if "e)" not in body else ["r", "a", "b", "h", "v"]
    text = f"(float[N, 4, 6, 5] x) => (float[{', '.join(rank)}] y) {{ {body} }}"
    weights = {**statistics(6), **extra, "z": np.float32([3e38])[0], "w": 100 * normal(6, 4, 3, 3)}
    graph = build(text, used(text, weights))
    assert not applied(graph, FOLD)[1][0].changed


def test_an_output_of_the_model_stays_what_it_is() -> None:
    text = f"(float[N, 4, 6, 5] x) => (float[N, 6, 4, 3] p, float[N, 6, 4, 3] y) {{ p = Conv(x, w) y = {NORM} }}"
    checked(build(text, used(text, {**statistics(6), "w": normal(6, 4, 3, 3)})), FOLD, X, changes=False)


def test_a_batch_norm_over_another_axis_stays() -> None:
    text = f"(float[N, 6, 4] x) => (float[N, 6, 6] y) {{ p = MatMul(x, w) y = {NORM} }}"
    checked(build(text, used(text, {**statistics(6), "w": normal(4, 6)})), FOLD, {"x": normal(2, 6, 4)}, changes=False)


def test_a_training_batch_norm_stays() -> None:
    text = """(float[N, 4, 6, 5] x) => (float[N, 6, 4, 3] y) {
        p = Conv(x, w) y, rm, rv = BatchNormalization <training_mode = 1> (p, gamma, beta, mean, variance)
    }"""
    graph = build(text, used(text, {**statistics(6), "w": normal(6, 4, 3, 3)}))
    checked(graph, FOLD, X, changes=False)


@pytest.mark.parametrize(
    ("pads", "form", "folds"),
    [
        (0, "Mul(x, c)", True),
        (0, "Add(x, c)", True),
        (0, "BatchNormalization(x, gamma, beta, mean, variance)", True),
        (1, "Mul(x, c)", True),
        (1, "Add(x, c)", False),
        (1, "BatchNormalization(x, gamma, beta, mean, variance)", False),
    ],
)
@pytest.mark.parametrize("group", [1, 2])
def test_before_a_convolution_only_where_padding_allows(pads: int, form: str, folds: bool, group: int) -> None:
    text = f"""(float[N, 4, 6, 5] x) => (float[N, 6, h, v] y) {{
        p = {form} y = Conv <kernel_shape = [3, 3], pads = [{pads}, {pads}, {pads}, {pads}], group = {group}> (p, w, b)
    }}"""
    weights = {**statistics(4), "b": normal(6), "w": normal(6, 4 // group, 3, 3)}
    assert ops(checked(build(text, used(text, weights)), FOLD, X, changes=folds))[-1] == "Conv"


def test_before_several_matrices_it_goes_into_all() -> None:
    text = """(float[N, S, 4] x) => (float[N, S, 6] y) {
        m = Mul(x, g) p = Add(m, h) q = MatMul(p, w) k = MatMul(p, v) r = Add(k, b) y = Add(q, r)
    }"""
    weights = {"g": normal(4), "h": normal(4, seed=1), "w": normal(4, 6), "v": normal(4, 6, seed=1), "b": normal(6)}
    result = checked(build(text, weights), FOLD, {"x": normal(2, 3, 4)})
    assert "Mul" not in ops(result) and shape(result, "b") == (6,)


def test_a_constant_that_widens_its_input_stays() -> None:
    text = "(float[N, 1, 6, 5] x) => (float[N, 6, 4, 3] y) { p = Mul(x, c) y = Conv(p, w) }"
    weights = {"c": normal(4, 1, 1), "w": normal(6, 4, 3, 3)}
    checked(build(text, weights), FOLD, {"x": normal(2, 1, 6, 5)}, changes=False)


@pytest.mark.parametrize("scaled", ["Mul(x, c)", "Add(x, c)", "BatchNormalization(x, gamma, beta, mean, variance)"])
@pytest.mark.parametrize("call", ["Gemm <beta = 0.5> (s, w, s)", "Gemm <transB = 1> (s, w, s)"])
def test_a_scale_stays_where_one_node_reads_it_twice(call: str, scaled: str) -> None:
    text = f"(float[N, 5] x) => (float[N, 5] y) {{ s = {scaled} y = {call} }}"
    weights = {**statistics(5), "w": normal(5, 5), "c": np.abs(normal(5, seed=5)) + 0.5}
    graph = build(text, used(text, weights))
    assert ops(checked(graph, FOLD, {"x": normal(3, 5)}, changes=False)) == [scaled.split("(")[0], "Gemm"]
