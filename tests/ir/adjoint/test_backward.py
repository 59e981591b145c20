"""How slopes come together on the way back, and where there is none."""

import numpy as np
import onnx
import pytest
from derivatives import spread
from derivatives.differences import RUNNER, agree
from onnx import helper, numpy_helper
from onnx.parser import parse_model

from optimise_onnx.ir.adjoint.program import Program
from optimise_onnx.ir.errors import UnsupportedOpError
from optimise_onnx.ir.graph import Graph
from optimise_onnx.ir.shapes import concrete

INT = np.int64


def model(text: str, opset: int = 18, **stored: np.ndarray) -> onnx.ModelProto:  # type: ignore[type-arg]
    """Parse a graph and store constants in it."""
    made = parse_model(f'<ir_version: 8, opset_import: ["" : {opset}]> {text}')
    made.graph.initializer.extend(numpy_helper.from_array(np.asarray(value), name) for name, value in stored.items())
    return made


def back(made: onnx.ModelProto, *wanted: str) -> dict[str, str]:
    """Go back from a slope at the output y."""
    graph = Graph.of(made)
    sizes = {t.name: tuple(int(str(dim)) for dim in t.shape or ()) for t in graph.inputs}
    shapes = concrete(graph, sizes)
    program = Program(graph, shapes)
    return program.backward({"y": program.input("slope", shapes["y"])}, wanted)


TWICE = {
    "squared": "agraph (float[2,3] x) => (float[2,3] y) { y = Mul(x, x) }",
    "product with itself": "agraph (float[3,3] x) => (float[3,3] y) { y = MatMul(x, x) }",
    "convolved with itself": "agraph (float[2,2,3,3] x) => (float[2,2,1,1] y) { y = Conv(x, x) }",
    "joined with itself": "agraph (float[2,3] x) => (float[2,6] y) { y = Concat<axis = 1>(x, x) }",
    "three readers": """agraph (float[2,3] x) => (float[2,3] y) {
        a = Sin(x) b = Exp(x) c = Mul(a, x) y = Sum(a, b, c, x) }""",
    "chosen from itself": """agraph (float[2,3] x) => (float[2,3] y) {
        c = Greater(x, x) s = Sin(x) y = Where(c, s, x) }""",
}


@pytest.mark.parametrize("text", TWICE.values(), ids=TWICE.keys())
def test_a_tensor_read_more_than_once_gathers_all_slopes(text: str) -> None:
    made = model(text)
    shape = [dim.dim_value for dim in made.graph.input[0].type.tensor_type.shape.dim]
    agree(made, {"x": spread(*shape)}, ["x"])


def test_a_weight_of_two_nodes_gathers_both_slopes() -> None:
    text = "agraph (float[2,3] x) => (float[2,2] y) { a = MatMul(x, w) b = Sin(a) y = Gemm<transB = 1>(b, w, c) }"
    made = model(text.replace("[2,2] y", "[2,3] y"), w=spread(3, 3), c=spread(3, seed=4))
    agree(made, {"x": spread(2, 3)}, ["c", "w", "x"])


def test_slopes_of_several_outputs_come_together() -> None:
    text = """agraph (float[2,3] x) => (float[2,3] a, float[2,3] b, float[2,1] c) {
        a = Mul(x, w) b = Sin(a) c = ReduceSum(b, axis) }"""
    agree(model(text, w=spread(3), axis=np.array([1])), {"x": spread(2, 3)}, ["w", "x"])


def test_what_an_output_does_not_depend_on_has_no_slope() -> None:
    made = model("agraph (float[2,3] x, float[2,3] z) => (float[2,3] y, float[2,3] o) { y = Sin(x) o = Exp(z) }")
    assert back(made, "x", "z").keys() == {"x"}


def test_slopes_at_tensors_inside_and_before_them_come_of_one_run() -> None:
    graph = Graph.of(model("agraph (float[2,3] x) => (float[2,3] y) { h = Sin(x) e = Exp(h) y = Mul(e, h) }"))
    program = Program(graph, concrete(graph, {"x": (2, 3)}))
    slopes = program.backward({"y": program.input("slope", (2, 3)), "h": program.input("more", (2, 3))}, ["h", "x"])
    x, slope, more = spread(2, 3), spread(2, 3, seed=2), spread(2, 3, seed=3)
    session = RUNNER.session(program.graph({f"by {name}": found for name, found in slopes.items()}))
    found = session.run({"x": x, "slope": slope, "more": more})
    at_h = slope * np.exp(np.sin(x)) * (1 + np.sin(x)) + more
    np.testing.assert_allclose(found["by h"], at_h, rtol=1e-5)
    np.testing.assert_allclose(found["by x"], at_h * np.cos(x), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("op", ["Floor", "Ceil", "Round", "Sign"])
def test_steps_have_no_slope(op: str) -> None:
    made = model(f"agraph (float[2,3] x) => (float[2,3] y) {{ f = {op}(x) y = Add(x, f) }}")
    agree(made, {"x": spread(2, 3, low=0.1, high=0.4)}, ["x"])
    assert not back(model(f"agraph (float[2,3] x) => (float[2,3] y) {{ f = {op}(x) y = Exp(f) }}"), "x")


INTEGERS = {
    "Shape to Reshape": """agraph (float[2,3,4] x) => (float[12,2] y) {
        t = Sin(x) s = Shape(t) n = Gather(s, zero) g = Concat<axis = 0>(minus, n) y = Reshape(t, g) }""",
    "Shape to Slice": """agraph (float[2,3,4] x) => (float[2,3,2] y) {
        t = Sin(x) s = Shape(t) n = Gather(s, one) y = Slice(t, one, n, two) }""",
    "Shape to a scale": """agraph (float[2,3,4] x) => (float[2,3,4] y) {
        s = Shape(x) n = Gather(s, one) f = Cast<to = 1>(n) r = Sqrt(f) y = Div(x, r) }""",
    "a mask": """agraph (float[2,3,4] x) => (float[2,3,4] y) {
        t = Sin(x) c = Greater(t, bound) m = Cast<to = 1>(c) y = Mul(t, m) }""",
    "the largest": """agraph (float[2,3,4] x) => (float[2,3,4] y) {
        i = ArgMax<axis = 2, keepdims = 0>(x) o = OneHot(i, depth, pair) y = Mul(x, o) }""",
}


@pytest.mark.parametrize("text", INTEGERS.values(), ids=INTEGERS.keys())
def test_integers_and_truth_values_end_the_way_back(text: str) -> None:
    stored = {name: np.array([value], INT) for name, value in {"zero": 0, "one": 1, "two": 2, "minus": -1}.items()}
    stored |= {"bound": np.float32(0.1), "depth": np.array(4), "pair": np.array([0, 1], np.float32)}
    agree(model(text, **stored), {"x": spread(2, 3, 4)}, ["x"])


@pytest.mark.parametrize("kind", ["int64", "int32"])
def test_computed_indices_may_repeat_and_be_negative(kind: str) -> None:
    text = f"agraph ({kind}[2,2] i) => (float[2,2,3] y) {{ y = Gather(w, i) }}"
    agree(model(text, w=spread(5, 3)), {"i": np.array([[4, 1], [-1, 1]], kind)}, ["w"])
    text = f"agraph (float[2,5] x, {kind}[3] i) => (float[2,3] y) {{ y = Gather<axis = 1>(x, i) }}"
    agree(model(text), {"x": spread(2, 5), "i": np.array([0, -5, 2], kind)}, ["x"])


def test_exponents_may_be_integers() -> None:
    text = "agraph (float[2,3] x) => (float[2,3] y) { y = Pow(x, two) }"
    agree(model(text, two=np.array(2, INT)), {"x": spread(2, 3)}, ["x"])


def test_a_norm_of_zeros_has_no_slope() -> None:
    made = model("agraph (float[2,3] x) => (float[2,1] y) { y = ReduceL2(x, axes) }", axes=np.array([1]))
    graph = Graph.of(made)
    program = Program(graph, concrete(graph, {"x": (2, 3)}))
    slopes = program.backward({"y": program.input("slope", (2, 1))}, ["x"])
    feeds = {"x": np.zeros((2, 3), np.float32), "slope": np.ones((2, 1), np.float32)}
    assert not RUNNER.session(program.graph({"back": slopes["x"]})).run(feeds)["back"].any()


def test_an_operator_without_a_rule_is_named() -> None:
    made = model("agraph (float[2,3] x) => (float[2,3] y) { h = Sin(x) y = Hardmax(h) }")
    made.graph.node[1].name = "largest"
    with pytest.raises(UnsupportedOpError, match="Hardmax 'largest'.*no rule") as caught:
        back(made, "x")
    assert caught.value.exit_code == 6


def test_quantised_numbers_stand_for_reals_and_do_not_end_the_way_back_unsaid() -> None:
    text = """agraph (float[2,3] x) => (float[3,2] y) {
        q = QuantizeLinear(x, scale, zero) t = Transpose(q) y = DequantizeLinear(t, scale, zero) }"""
    made = model(text, scale=np.float32(0.1), zero=np.array(0, np.int8))
    with pytest.raises(UnsupportedOpError, match="DequantizeLinear"):
        back(made, "x")


def test_an_operator_of_another_domain_has_no_rule_of_the_standard_one() -> None:
    made = model("agraph (float[2,3] x) => (float[2,3] y) { y = Sin(x) }")
    made.graph.node[0].domain = "com.example"
    made.opset_import.append(helper.make_opsetid("com.example", 1))
    graph = Graph.of(made)
    program = Program(graph, {"x": (2, 3), "y": (2, 3)})
    with pytest.raises(UnsupportedOpError, match="com.example.Sin"):
        program.backward({"y": program.input("slope", (2, 3))}, ["x"])


def test_an_operator_without_a_rule_beside_the_way_is_none_of_its_business() -> None:
    text = "agraph (float[2,3] x, float[2,3] z) => (float[2,3] y) { h = CumSum(z, one) y = Mul(x, h) }"
    agree(model(text, one=np.array(1, INT)), {"x": spread(2, 3), "z": spread(2, 3, seed=3)}, ["x"])


def test_nobody_goes_back_beyond_what_is_wanted() -> None:
    made = model("agraph (float[2,3] x) => (float[2,3] y) { h = CumSum(x, one) y = Exp(h) }", one=np.array(1, INT))
    assert back(made, "h").keys() == {"h"}


REASONS = {
    "computed": ("agraph (float[2,3] x, int64[1] n) => (float[2,k] y) { y = Slice(x, n, n) }", "computed"),
    "training": ("agraph (float[2,3] x) => (float[2,3] y) { y = Dropout(x, half, yes) }", "training"),
    "cubic": (
        'agraph (float[1,1,4] x) => (float[1,1,8] y) { y = Resize<mode = "cubic">(x, none, scales) }',
        "mode is 'cubic'",
    ),
    "half": (
        "agraph (float[2,3] x) => (float[2,3] y) { h = Cast<to = 10>(x) s = Sin(h) y = Cast<to = 1>(s) }",
        "float16",
    ),
}


@pytest.mark.parametrize("name", REASONS)
def test_what_a_rule_does_not_cover_is_said(name: str) -> None:
    text, why = REASONS[name]
    stored = {"half": np.float32(0.5), "yes": np.array(True), "w": spread(3), "none": np.zeros(0, np.float32)}
    made = model(text, **stored, scales=np.array([1, 1, 2], np.float32))
    graph = Graph.of(made)
    shapes = {"y": (2, 3)} | concrete(graph, {"x": (1, 1, 4) if name == "cubic" else (2, 3), "n": (1,)})
    program = Program(graph, shapes)
    with pytest.raises(UnsupportedOpError, match=why):
        program.backward({"y": program.input("slope", shapes["y"])}, ["x"])
