"""fold-constants: what it evaluates, what it leaves, and that symbolic sizes stay symbolic."""

import numpy as np
import pytest

from optimise_onnx.passes.cleanup import evaluate
from optimise_onnx.passes.cleanup.constants import FoldConstants
from tests.oracle import distance, graph_of
from tests.passes.cleanup.support import applied, build, checked, normal, ops
from tests.zoo import ZOO, feeds

FOLD = FoldConstants()


def test_constant_nodes_are_evaluated() -> None:
    graph = build(
        "(float[N, 4] x) => (float[N, 3] y) { s = Shape(w) z = ConstantOfShape(s) v = Add(w, z) y = MatMul(x, v) }",
        {"w": normal(4, 3)},
    )
    assert ops(checked(graph, FOLD, {"x": normal(5, 4)})) == ["MatMul"]


def test_large_results_are_computed_in_several_sessions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluate, "_SESSION_BYTES", 100)
    graph = build(
        "(float[N, 4] x) => (float[N, 4] y) { a = Neg(w) b = Abs(w) p = MatMul(x, a) y = MatMul(p, b) }",
        {"w": normal(4, 4)},
    )
    assert ops(checked(graph, FOLD, {"x": normal(5, 4)})) == ["MatMul", "MatMul"]


@pytest.mark.parametrize(
    "body",
    [
        "r = RandomNormal <shape = [4]> () y = Add(x, r)",
        "w = DequantizeLinear(q, s) y = Add(x, w)",
        "y = Identity(f)",
    ],
)
def test_random_quantised_and_output_nodes_stay(body: str) -> None:
    weights = {"q": np.array([1, 2, 3, 4], np.int8), "s": np.float32([0.5])[0], "f": normal(1, 4)}
    graph = build(f"(float[N, 4] x) => (float[N, 4] y) {{ {body} }}", {k: v for k, v in weights.items() if k in body})
    result, _ = applied(graph, FOLD)
    assert ops(result) == ops(graph)


def test_a_table_that_others_read_is_not_stored_again_transposed() -> None:
    body = "t = Transpose (w) h = Gather (w, i) y = MatMul (h, t)"
    arrays = {"w": normal(5, 4)}
    tied = build(f"(int64[N] i) => (float[N, 5] y) {{ {body} }}", arrays)
    graph = checked(tied, FOLD, {"i": np.arange(5)}, changes=False)
    assert (sorted(ops(graph)), [t.array.shape for t in graph.constants()]) == (
        ["Gather", "MatMul", "Transpose"],
        [(5, 4)],
    )
    half = {"w": normal(5, 4).astype(np.float16)}
    body = "t = Transpose (w) f = Cast <to = 1> (t) g = Gather (w, i) h = Cast <to = 1> (g) y = MatMul (h, f)"
    tied = build(f"(int64[N] i) => (float[N, 5] y) {{ {body} }}", half)
    assert [t.array.shape for t in checked(tied, FOLD, {"i": np.arange(5)}, changes=False).constants()] == [(5, 4)]
    alone = build("(float[N, 4] x) => (float[N, 5] y) { t = Transpose (w) y = MatMul (x, t) }", arrays)
    assert ops(checked(alone, FOLD, {"x": normal(3, 4)})) == ["MatMul"]


def test_identities_and_dropouts_go_and_outputs_keep_their_names() -> None:
    graph = build(
        """(float[N, 4] x) => (float[N, 4] y, float[N, 4] z) {
            a = Identity(x) b = Relu(a) c = Dropout(b) d = Neg(c) y = Identity(d) e = Exp(y) z = Identity(e) f = Sqrt(x)
        }"""
    )
    result = checked(graph, FOLD, {"x": normal(5, 4)})
    assert ops(result) == ["Relu", "Neg", "Exp"]
    assert [tensor.name for tensor in result.outputs] == ["y", "z"]


@pytest.mark.parametrize("body", ["y = Identity(x)", "y = Relu(x) z = Identity(y)"])
def test_an_identity_between_ends_of_the_model_stays(body: str) -> None:
    outputs = "float[N, 4] y, float[N, 4] z" if "z" in body else "float[N, 4] y"
    graph = build(f"(float[N, 4] x) => ({outputs}) {{ {body} }}")
    checked(graph, FOLD, {"x": normal(5, 4)}, changes=False)


def test_a_training_dropout_stays() -> None:
    graph = build(
        "(float[N, 4] x, bool t) => (float[N, 4] y) { d = Dropout(x, r, t) y = Relu(d) }", {"r": np.float32([0.5])[0]}
    )
    assert ops(applied(graph, FOLD)[0]) == ["Dropout", "Relu"]


FLATTENED = """(float[N, 2, 3] x) => (float[N, 5] y) {
    s = Shape(x) n = Gather <axis = 0> (s, zero) m = Unsqueeze(n, axes) t = Concat <axis = 0> (m, rest)
    f = Reshape(x, t) y = MatMul(f, w)
}"""


@pytest.mark.parametrize(("rest", "target"), [([6], [-1, 6]), ([-1], [0, -1])])
def test_a_computed_reshape_target_is_stored(rest: list[int], target: list[int]) -> None:
    ints = {"zero": np.array(0), "axes": np.array([0]), "rest": np.array(rest)}
    graph = build(FLATTENED, {**ints, "w": normal(6, 5)})
    result = checked(graph, FOLD, {"x": normal(7, 2, 3)})
    assert ops(result) == ["Reshape", "MatMul"]
    assert result.nodes[0].inputs[1].array.tolist() == target
    assert distance(graph, result, {"x": normal(1, 2, 3)}) == 0


def test_two_symbols_are_not_confused() -> None:
    text = """(float[N, S, 6] x) => (float[a, b, c, d] y) {
        s = Shape(x) h = Slice(s, zero, two) t = Concat <axis = 0> (h, rest) y = Reshape(x, t)
    }"""
    ints = {"zero": np.array([0]), "two": np.array([2]), "rest": np.array([2, 3])}
    result = checked(build(text, ints), FOLD, {"x": normal(3, 4, 6)})
    assert result.nodes[0].inputs[1].array.tolist() == [0, 0, 2, 3]
    swapped = build(
        text.replace("Slice(s, zero, two)", "Gather <axis = 0> (s, order)"),
        {"order": np.array([1, 0]), "rest": ints["rest"]},
    )
    kept = checked(swapped, FOLD, {"x": normal(3, 4, 6)}, changes=False)
    assert "Shape" in ops(kept)


def test_an_expand_to_its_own_batch_is_stored() -> None:
    text = """(float[N, 1, 6] x) => (float[N, 4, 6] y) {
        s = Shape <start = 0, end = 1> (x) t = Concat <axis = 0> (s, rest) y = Expand(x, t)
    }"""
    result = checked(build(text, {"rest": np.array([4, 6])}), FOLD, {"x": normal(3, 1, 6)})
    assert result.nodes[0].inputs[1].array.tolist() == [1, 4, 6]


def test_the_size_of_unknown_pixels_stays_computed() -> None:
    text = """(float[N, 2, H, W] x) => (float[N, 2, a, b] y) {
        s = Shape(x) h = Slice(s, two, four) d = Mul(h, twice) n = Slice(s, zero, two) t = Concat <axis = 0> (n, d)
        y = Resize(x, , , t)
    }"""
    ints = {"zero": np.array([0]), "two": np.array([2]), "four": np.array([4]), "twice": np.array([2, 2])}
    graph = build(text, ints)
    result, _ = applied(graph, FOLD)
    assert "Resize" in ops(result) and "Shape" in ops(result)
    assert distance(graph, result, {"x": normal(2, 2, 3, 5)}) == 0


def test_known_pixels_are_stored_through_float_arithmetic() -> None:
    text = """(float[N, 2, 6, 8] x) => (float[N, 2, 3, 4] y) {
        s = Shape(x) h = Slice(s, two, four) f = Cast <to = 1> (h) d = Div(f, twice) g = Floor(d) e = Cast <to = 7> (g)
        z = Sub(h, e) y = Slice(x, zeros, e, axes)
    }"""
    ints = {"two": np.array([2]), "four": np.array([4]), "zeros": np.array([0, 0]), "axes": np.array([2, 3])}
    graph = build(text, {**ints, "twice": np.float32([2, 2])})
    assert ops(checked(graph, FOLD, {"x": normal(2, 2, 6, 8)})) == ["Slice"]


@pytest.mark.parametrize("name", ["if_branches", "loop_body"])
def test_subgraphs_may_read_what_was_folded(name: str) -> None:
    graph = graph_of(ZOO[name]())
    result, _ = applied(graph, FOLD)
    assert distance(graph, result, feeds(ZOO[name](), 0)) < 1e-5
