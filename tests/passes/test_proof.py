"""Exact passes are held to their word: a planted mistake is found, noise and decisions are no mistakes."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest
from oracle import graph_of
from zoo.builder import Builder

from optimise_onnx.backends.ort import OrtRunner
from optimise_onnx.ir.errors import VerificationError
from optimise_onnx.ir.feeds import Calibration
from optimise_onnx.ir.graph import Graph
from optimise_onnx.passes.analysis.outputs.parts import parts
from optimise_onnx.passes.base import Context, Outcome
from optimise_onnx.passes.cleanup.batch_norm import FoldBatchNorm
from optimise_onnx.passes.cleanup.duplicate import MergeDuplicateChannels
from optimise_onnx.passes.manager import PassManager
from optimise_onnx.passes.order import EXACT
from optimise_onnx.passes.proof import Judged, Limit, prove
from tests.passes.cleanup.support import build, normal


@dataclass(frozen=True)
class Wrong:
    """Says that it changes no value, and scales one weight."""

    name: ClassVar[str] = "wrong"
    preserves: ClassVar[frozenset[str]] = EXACT

    def run(self, graph: Graph, context: Context) -> Outcome:
        weight = next(tensor for tensor in graph.constants() if tensor.array.ndim > 1)
        graph.set_array(weight, weight.array * weight.dtype.type(1.5))
        return Outcome(True)


def network(dtype: type = np.float32) -> Graph:
    b = Builder("net")
    graph = graph_of(b.model(b.head(b.conv_bn_relu(b.input("x", ["N", 3, 8, 8]), 8))))
    return graph if dtype is np.float32 else half(graph)


def half(graph: Graph) -> Graph:
    text = "(float16[N, 300] x) => (float16[N, 5] y) { z = MatMul(x, w) y = Mul(z, c) }"
    weights = {"w": normal(300, 5).astype(np.float16), "c": np.float16([2, 1, 3, 1, 2])}
    return build(text, weights)


def run(graph: Graph, *steps: object) -> None:
    context = Context(OrtRunner(1), graph.copy())
    PassManager(tuple(steps)).run(graph, context, proven=graph.copy())  # type: ignore[arg-type]


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_a_mistake_is_found_and_an_exact_pass_is_not_blamed(dtype: type) -> None:
    run(network(dtype), FoldBatchNorm())
    with pytest.raises(VerificationError, match=r"exact passes changed output .* of its size, the limit is"):
        run(network(dtype), FoldBatchNorm(), Wrong())


def test_the_same_noise_is_drawn_for_both() -> None:
    text = "(float[N, 4] x) => (float[N, 5] y) { n = RandomNormalLike(x) z = Add(x, n) p = MatMul(z, w) y = Mul(p, c) }"
    graph = build(text, {"w": normal(4, 5), "c": normal(5)})
    folded = graph.copy()
    FoldBatchNorm().run(folded, Context(OrtRunner(1), graph))
    assert len(folded.nodes) == 3
    assert prove(graph, folded, Context(OrtRunner(1), graph)) == ()


def test_a_decision_that_a_rounding_may_turn_is_held_by_what_it_is_taken_from() -> None:
    text = "(float[N, 4] x) => (int64[N, 1] y) { p = MatMul(x, w) z = Mul(p, c) y = ArgMax<axis = 1>(z) }"
    graph = build(text, {"w": np.ones((4, 5)), "c": np.ones(5)})  # all are largest
    folded = graph.copy()
    FoldBatchNorm().run(folded, Context(OrtRunner(1), graph))
    weight = next(tensor for tensor in folded.constants() if tensor.array.ndim > 1)
    folded.set_array(weight, weight.array * (1 + 1e-6 * np.arange(5, dtype=np.float32)))
    assert prove(graph, folded, Context(OrtRunner(1), graph)) == ()
    folded.set_array(weight, weight.array * np.float32(1.1))
    with pytest.raises(VerificationError, match="output 'y', at 'z',"):
        prove(graph, folded, Context(OrtRunner(1), graph))


def test_it_says_so_where_nothing_was_compared() -> None:
    graph = build("(float[N, 4] x, string[1] s) => (float[N, 5] y) { y = MatMul(x, w) }", {"w": normal(4, 5)})
    assert prove(graph, graph.copy(), Context(OrtRunner(1), graph)) != ()
    samples = Calibration.from_arrays({"x": normal(8, 4), "s": np.array(["a"] * 8)})
    assert prove(graph, graph.copy(), Context(OrtRunner(1), graph, samples)) == ()


@pytest.mark.parametrize(("function", "first"), [("Sigmoid", -25), ("Softmax", 25)])
def test_probabilities_of_almost_nothing_are_held_by_what_they_are_made_of(function: str, first: int) -> None:
    """They are rounded at the size of one, so that those far below it say little of the network before."""
    text = f"(float[N, 4] x) => (float[N, 5] y) {{ p = MatMul(x, w) z = Add(p, c) y = {function}(z) }}"
    graph = build(text, {"w": normal(4, 5), "c": np.float32([first, -25, -24, -25, -24.5])})
    near, far = graph.copy(), graph.copy()
    for other, part in ((near, 1e-6), (far, 0.1)):
        weight = next(tensor for tensor in other.constants() if tensor.array.ndim > 1)
        other.set_array(weight, weight.array * (1 + part * normal(4, 5)))
    assert prove(graph, near, Context(OrtRunner(1), graph)) == ()
    with pytest.raises(VerificationError, match="output 'y', at 'z',"):
        prove(graph, far, Context(OrtRunner(1), graph))


def test_a_probability_whose_logit_is_gone_may_differ_by_its_rounding_alone() -> None:
    part = Judged("y", "y", coarse=True)
    before = np.float32([[1e-7, 2e-7]])
    Limit(1e-3, rounds=False).check(part, before, before + np.float32(2e-7))
    with pytest.raises(VerificationError):
        Limit(1e-3, rounds=False).check(part, before, before + np.float32(2e-6))
    with pytest.raises(VerificationError):
        Limit(1e-3, rounds=False).check(replace(part, coarse=False), before, before + np.float32(2e-7))


DECODED = """(float[N, 4] x) => (float[steps, N, 5] y) {
  m = MatMul(x, w)  c = Mul(m, s)  f = Relu(c)  first = MatMul(f, none)
  last, y = Loop<body = step (int64 i, bool on, float[N, 5] seen) => (bool go, float[N, 5] next, float[N, 5] said) {
    p = MatMul(seen, e)  q = Add(p, f)  said = Softmax(q)
    k = ArgMax<axis = 1, keepdims = 0>(said)  next = OneHot(k, five, ends)  go = Identity(on) }>(steps, yes, first) }"""


CHOSEN = """s = ReduceSum<keepdims = 0>(x)  c = GreaterOrEqual(s, zero)
  g = If(c) <then_branch = a () => (float[N, 1] p) { k = ArgMax<axis = 1>(x)  p = Cast<to = 1>(k) },
             else_branch = b () => (float[N, 1] r) { r = ReduceMax<axes = [1]>(x) }>"""


def decoder() -> Graph:
    """Each step goes on from the likeliest class of the one before."""
    weights = {"w": normal(4, 5), "s": np.ones(5), "none": np.zeros((5, 5)), "e": 3 * normal(5, 5)}
    numbers = {"five": np.array(5), "steps": np.array(30), "yes": np.array(True), "ends": np.float32([0, 1])}
    return build(DECODED, weights | numbers)


def test_a_loop_that_decides_is_held_by_what_it_reads_and_by_what_most_samples_give() -> None:
    graph = decoder()
    context = Context(OrtRunner(1), graph)
    assert [(part.tensor, part.decided) for part in parts(graph)] == [("first", "Loop"), ("f", "Loop")]
    folded = graph.copy()
    FoldBatchNorm().run(folded, context)
    assert len(folded.nodes) < len(graph.nodes) and prove(graph, folded, context) == ()
    for name, scale, said in (("w", 1.01, "output 'y', at 'f'"), ("e", 1.5, "output 'y': by")):
        other = graph.copy()
        weight = next(tensor for tensor in other.every_constant() if tensor.name == name)
        other.set_array(weight, weight.array * np.float32(scale))
        with pytest.raises(VerificationError, match=said):
            prove(graph, other, context)


def test_a_few_samples_of_a_loop_that_decides_may_end_up_anywhere() -> None:
    said, limit = np.float32(normal(6, 5, 3)), Limit(1e-3, rounds=False)
    few, most = said.copy(), said.copy()
    few[:2], most[:4] = 0, 0
    limit.check(Judged("y", "y", drifts=True), said, few)
    limit.check(Judged("y", "y", drifts=True), said, said[:, :4])  # it stopped sooner
    for drifts, other in ((True, most), (False, few)):
        with pytest.raises(VerificationError):
            limit.check(Judged("y", "y", drifts=drifts), said, other)


def test_other_shapes_and_types_of_what_drifts() -> None:
    said, limit = np.float32(normal(6, 5, 3)), Limit(1e-3, rounds=False)
    for other in (said.reshape(6, 15), said.astype(np.float64)):
        with pytest.raises(VerificationError, match="it is float"):
            limit.check(Judged("y", "y", drifts=True), said, other)


def test_what_is_narrowed_beside_a_decision_is_no_mistake() -> None:
    """Channels that are there twice are merged, before they meet what is decided elsewhere: that is said."""
    text = """(float[N, 4] x) => (float[N, 5] y) {
      m = MatMul(x, w)  f = Relu(m)  k = ArgMax<axis = 1>(x)  g = Cast<to = 1>(k)  d = Mul(f, g)  y = MatMul(d, v) }"""
    once = normal(4, 16)
    graph = build(text, {"w": np.hstack([once, once]), "v": normal(32, 5)})
    context, narrow = Context(OrtRunner(1), graph), graph.copy()
    MergeDuplicateChannels().run(narrow, context)
    assert narrow.tensors()["w"].array.size < graph.tensors()["w"].array.size
    assert prove(graph, narrow, context) == (
        "nothing was compared: the model does not run on random inputs, or was narrowed inside",
    )


def test_an_if_carries_nothing_from_step_to_step() -> None:
    """It is compared as closely as anything, whatever its branches decide."""
    graph = build(
        f"(float[N, 4] x) => (float[N, 5] y) {{ {CHOSEN}  y = MatMul(g, v) }}",
        {"v": normal(1, 5), "zero": np.float32(0)},
    )
    assert [(part.tensor, part.decided) for part in parts(graph)] == [("y", "")]


def test_what_a_sigmoid_reads_is_found_by_what_it_makes() -> None:
    """Folding has taken the name of the logits."""
    text = "(float[N, 4] x) => (float[N, 5] y) { p = MatMul(x, w)  q = Mul(p, c)  z = Identity(q)  y = Sigmoid(z) }"
    graph = build(text, {"w": normal(4, 5), "c": np.full(5, 1e-3)})
    context = Context(OrtRunner(1), graph)
    folded = graph.copy()
    FoldBatchNorm().run(folded, context)
    folded.replace_uses(folded.tensors()["z"], folded.tensors()["q"])
    folded.clean()
    assert "z" not in folded.tensors() and prove(graph, folded, context) == ()
    weight = next(tensor for tensor in folded.constants() if tensor.array.ndim == 2)
    folded.set_array(weight, weight.array * np.float32(1.1))
    with pytest.raises(VerificationError, match="output 'y', at 'z',"):  # of the sigmoid itself, 1e-4 are left
        prove(graph, folded, context)


def test_probabilities_of_half_precision_get_no_more_room_than_their_limit() -> None:
    before = np.full((1, 1000), 1e-3, np.float16)
    with pytest.raises(VerificationError):
        Limit(4e-3, rounds=False).check(Judged("y", "y", coarse=True), before, before * np.float16(4))
