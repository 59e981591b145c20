"""Outputs are followed back to the tensors that are computed last; what only moves, rounds or decides is no part."""

import numpy as np
import pytest
from oracle import graph_of
from zoo.builder import Builder

from optimise_onnx.backends.ort import OrtRunner
from optimise_onnx.ir.feeds import Calibration
from optimise_onnx.ir.graph import Graph
from optimise_onnx.ir.shapes import concrete, input_sizes
from optimise_onnx.passes.analysis.outputs.aims import aims
from optimise_onnx.passes.analysis.outputs.axes import Axes
from optimise_onnx.passes.analysis.outputs.parts import parts
from optimise_onnx.passes.analysis.statistics.judge import judge
from tests.passes.cleanup.support import build


def ops(graph: Graph, **options: bool) -> list[tuple[str, str, int | None]]:
    return [(part.output, part.op, part.rows) for part in parts(graph, **options)]


def detector(joined: bool = True, scale: float = 100.0) -> Graph:
    """Boxes in pixels and scores below one, each of a branch of its own."""
    b = Builder("detector")
    stem = b.conv_relu(b.input("x", ["N", 3, 8, 8]), 8)
    box = b.mul(b.conv(b.conv_relu(stem, 8), 4, 1), b.const(np.float32(scale)))
    score = b.sigmoid(b.conv(b.conv_relu(stem, 8), 6, 1))
    cells = [b.reshape(t, -1, b.size(t), 64) for t in (box, score)]
    return graph_of(b.model(b.transpose(b.concat(*cells), 0, 2, 1)) if joined else b.model(*cells))


def test_what_is_joined_is_taken_apart() -> None:
    """A branch of scores behind a Sigmoid shares one scale; boxes have one a row."""
    (output,) = detector().outputs
    assert ops(detector()) == [(output.name, "Mul", 1), (output.name, "Sigmoid", None)]


def test_a_classifier_is_judged_by_its_output() -> None:
    b = Builder("classifier")
    graph = graph_of(b.model(b.head(b.conv_relu(b.input("x", ["N", 3, 8, 8]), 8))))
    (part,) = parts(graph)
    assert (part.tensor, part.op, part.rows) == (graph.outputs[0].name, "Gemm", 1)


SUPPRESSED = """(float[1, 3, 8] x) => (float[n, 4] y, int64[n, 3] i) {
  b = MatMul(x, w)  s = Sigmoid(x)  boxes = Exp(b)
  i = NonMaxSuppression(boxes, s)  place = Slice(i, two, three, one)  flat = Squeeze(place, one)
  row = Squeeze(boxes, zero)  y = Gather<axis = 0>(row, flat) }"""
NUMBERS = {name: np.array([k]) for k, name in enumerate(("zero", "one", "two", "three"))}


def suppressed() -> Graph:
    rng = np.random.default_rng(0)
    text = SUPPRESSED.replace("[1, 3, 8]", "[1, 8, 8]")
    return build(text, {"w": rng.standard_normal((8, 4)), **NUMBERS})


def test_what_suppression_decides_from_is_judged_instead() -> None:
    graph = suppressed()
    assert {(p.output, p.op, p.decided) for p in parts(graph)} == {
        (name, op, "NonMaxSuppression") for name in ("y", "i") for op in ("Exp", "Sigmoid")
    }
    assert ("y", "Gather") in {(p.output, p.op) for p in parts(graph, behind=True)}


@pytest.mark.parametrize(
    ("call", "y", "made"),
    [
        ("ArgMax<axis = -1>(z)", "int64[N, 1]", "MatMul"),
        ("Cast<to = 7>(z)", "int64[N, 3]", "MatMul"),
        ("Greater(z, k)", "bool[N, 3]", "MatMul"),
        ("QuantizeLinear(z, k)", "uint8[N, 3]", "MatMul"),
        ("Round(z)", "float[N, 3]", "MatMul"),
        ("Tanh(z)", "float[N, 3]", "Tanh"),
    ],
)
def test_steps_are_looked_through(call: str, y: str, made: str) -> None:
    weights = {"w": np.ones((5, 3)), "k": np.array(1.0)}
    used = {name: array for name, array in weights.items() if name != "k" or "k)" in call}
    graph = build(f"(float[N, 5] x) => ({y} y) {{ z = MatMul(x, w) y = {call} }}", used)
    assert [part.op for part in parts(graph)] == [made]


def test_an_output_that_nothing_computes_is_its_own_part() -> None:
    graph = build("(float[N, 5] x) => (float[5, N] y) { y = Transpose(x) }")
    assert [(p.tensor, p.op) for p in parts(graph)] == [("y", "Transpose")]


@pytest.mark.parametrize(
    ("text", "classes"),
    [
        ("y = MatMul(x, w)", 2),
        ("z = MatMul(x, w) y = Transpose<perm = [0, 2, 1]>(z)", None),
        ("z = MatMul(x, w) y = Softmax<axis = 1>(z)", 1),
        ("z = MatMul(x, w) y = LogSoftmax<axis = -1>(z)", 2),
        ("y = Relu(x)", None),
    ],
)
def test_classes_lie_where_a_softmax_works_or_last(text: str, classes: int | None) -> None:
    shape = "N, 4, 6" if "Transpose" in text else "N, 5, 5" if "Relu" in text else "N, 6, 4"
    weights = {"w": np.ones((5, 4))} if "w" in text else {}
    inner = "N, 5, 5" if "Relu" in text else "N, 6, 5"
    graph = build(f"(float[{inner}] x) => (float[{shape}] y) {{ {text} }}", weights)
    assert Axes(graph).classes(graph.outputs[0]) == classes


SPELT = """z = MatMul(x, w) m = ReduceMax<axes = [1], keepdims = 0>(z) b = Unsqueeze(m, one) d = Sub(z, b)
    e = Exp(d) s = ReduceSum<keepdims = 0>(e, one) u = Unsqueeze(s, one) g = Expand(u, like) y = Div(e, g)"""


def test_a_softmax_that_is_spelt_out_is_one() -> None:
    """One scale for all classes: those that never occur would count most else."""
    weights = {"w": np.ones((5, 4)), "one": np.array([1]), "like": np.array([1, 4])}
    graph = build(f"(float[N, 5] x) => (float[N, 4] y) {{ {SPELT} }}", weights)
    (part,) = parts(graph)
    assert (part.op, part.rows, part.classes) == ("Div", None, 1)
    assert Axes(graph).classes(graph.outputs[0]) == 1
    assert [aim.tensor for aim in aims(graph, concrete(graph, input_sizes(graph, 2)))] == ["d"]


@pytest.mark.parametrize("end", ["s = ReduceSum(e) y = Div(e, s)", "s = ReduceSum(x, one) y = Div(e, s)"])
def test_other_quotients_are_no_softmax(end: str) -> None:
    used = {"one": np.array([1])} if "one" in end else {}
    graph = build(f"(float[N, 5] x) => (float[N, 5] y) {{ e = Exp(x) {end} }}", used)
    assert [part.classes for part in parts(graph)] == [None]


def test_places_are_judged_by_scores_as_samples_are() -> None:
    """A saturated softmax hides what is lost before it; its scores, softened, do not."""
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((6, 7, 5)).astype(np.float32), 20 * rng.standard_normal((5, 4))
    flat, deep = (
        build(f"(float[{n}, 5] x) => (float[{n}, 4] y) {{ z = MatMul(x, w) y = Softmax<axis = -1>(z) }}", {"w": w})
        for n in ("N", "N, 7")
    )
    found = []
    for graph, values in ((flat, x.reshape(-1, 5)), (deep, x)):
        name = next(node.name for node in graph.nodes if node.op == "MatMul")
        judged = judge(graph, Calibration.from_arrays({"x": values}), OrtRunner(1))
        found.append(judged.of(damaged(graph, name)))
    assert found[0] == pytest.approx(found[1], rel=0.3) and found[0] > 1e-2  # places with rare answers count more


def test_logarithms_of_probabilities_are_judged_as_they_are() -> None:
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((6, 7, 5)).astype(np.float32), rng.standard_normal((5, 4))
    found = []
    for op in ("Softmax", "LogSoftmax"):
        body = f"z = MatMul(x, w) y = {op}<axis = -1>(z)"
        graph = build(f"(float[N, 7, 5] x) => (float[N, 7, 4] y) {{ {body} }}", {"w": w})
        name = next(node.name for node in graph.nodes if node.op == "MatMul")
        assert [part.classes for part in parts(graph)] == [2]
        found.append(judge(graph, Calibration.from_arrays({"x": x}), OrtRunner(1)).of(damaged(graph, name)))
    assert found[0] == pytest.approx(found[1], rel=1e-4) and found[0] > 1e-3


def test_places_of_samples_of_several_sizes_are_judged_by_scores() -> None:
    """As many places of each sort, in long samples and short ones, or in samples of one length."""
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((6, 4, 5)).astype(np.float32), 20 * rng.standard_normal((5, 4))
    graph = build("(float[N, L, 5] x) => (float[N, L, 4] y) { z = MatMul(x, w) y = Softmax<axis = -1>(z) }", {"w": w})
    uneven = [{"x": x[:4]}, {"x": x[4:].reshape(1, 8, 5)}]
    name = next(node.name for node in graph.nodes if node.op == "MatMul")
    samples = Calibration.from_arrays({"x": x}), Calibration(lambda: iter(uneven), 5, uneven=True)
    found = [judge(graph, each, OrtRunner(1)).of(damaged(graph, name)) for each in samples]
    assert found[0] == pytest.approx(found[1], rel=0.3) and found[0] > 1e-2  # places with rare answers count more


def damaged(graph: Graph, layer: str) -> Graph:
    """Half of the weights of the layer that makes a branch's end are gone."""
    copy = graph.copy()
    weight = copy.node(layer).inputs[1]
    copy.set_array(weight, weight.array * np.float32(0.5))
    return copy


@pytest.mark.parametrize("scale", [1.0, 100.0])
def test_scores_count_as_much_as_boxes_do(scale: float) -> None:
    """Joined in one output as with two, whatever the boxes are measured in."""
    x = np.random.default_rng(0).standard_normal((16, 3, 8, 8)).astype(np.float32)
    samples = Calibration.from_arrays({"x": x})
    graphs = [detector(joined, scale) for joined in (True, False)]
    ends = [node.name for node in graphs[0].nodes if node.op == "Conv" and node.inputs[1].array.shape[2] == 1]
    for end in ends:
        joined, apart = (judge(g, samples, OrtRunner(1)).of(damaged(g, end)) for g in graphs)
        assert joined == pytest.approx(apart) and joined > 1e-2


def test_decisions_are_held_while_what_follows_is_judged() -> None:
    graph = suppressed()
    samples = Calibration.from_arrays({"x": np.random.default_rng(1).standard_normal((4, 8, 8)).astype(np.float32)})
    judged = judge(graph, Calibration(samples.source, 4, step=1), OrtRunner(1))
    name = next(node.name for node in graph.nodes if node.op == "MatMul")
    assert judged.of(damaged(graph, name)) > 0 == judged.of(graph.copy())


def test_weights_behind_a_decision_are_no_part() -> None:
    """A weight that is dequantised is computed, and loses rows with the channels that read them."""
    text = """(float[N, 3, 4, 4] x) => (float[N, 5, 4, 4] y) {
        h = Mul(x, x)  i = ArgMax<axis = 1>(h)  f = Cast<to = 1>(i)  w = DequantizeLinear(codes, scale)
        y = Conv(f, w) }"""
    graph = build(text, {"codes": np.ones((5, 1, 1, 1), np.int8), "scale": np.array(0.5)})
    assert [(part.tensor, part.decided) for part in parts(graph)] == [("h", "ArgMax")]


def test_behind_a_decision_only_the_last_tensor_is_a_part() -> None:
    """What it is computed from may lose channels."""
    text = """(float[N, 3, 4, 4] x) => (float[N, 5, 4, 4] y) {
        h = Conv(x, w)  i = ArgMax<axis = 1>(h)  f = Cast<to = 1>(i)  c = Conv(f, v)  r = Relu(c)  y = Conv(r, u) }"""
    shapes = {"w": (4, 3, 1, 1), "v": (6, 1, 1, 1), "u": (5, 6, 1, 1)}
    graph = build(text, {name: np.random.default_rng(0).standard_normal(shape) for name, shape in shapes.items()})
    assert [part.tensor for part in parts(graph, behind=True)] == ["y", "h"]
    assert [part.tensor for part in parts(graph)] == ["h"]
