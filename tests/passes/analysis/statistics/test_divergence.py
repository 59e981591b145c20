"""Divergence of outputs: nought for equal ones, positive otherwise, always finite, of the kind an output calls for."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from oracle import graph_of
from scipy.special import rel_entr, softmax
from zoo import feeds
from zoo.builder import Builder

from optimise_onnx.backends.ort import OrtRunner
from optimise_onnx.ir.feeds import Calibration
from optimise_onnx.passes.analysis.statistics.divergence import (
    TEMPERATURE,
    as_logits,
    disagreement,
    divergence,
    looks_like_logits,
    margins,
    temperature,
)
from optimise_onnx.passes.analysis.statistics.judge import Answers, judge
from optimise_onnx.passes.analysis.statistics.rarity import counts
from tests.passes.cleanup.support import build

Array = NDArray[Any]

scores = arrays.arrays(np.float32, (4, 5), elements=st.floats(-50, 50, width=32))


@given(scores, scores)
def test_logits_by_the_textbook(a: Array, b: Array) -> None:
    heat = temperature(margins(a))
    p, q = softmax(a.astype(float) / heat, 1), softmax(b.astype(float) / heat, 1)
    assert divergence(a, b, logits=True) == pytest.approx(rel_entr(p, q).sum(1).mean(), abs=1e-6)


@given(scores, scores, st.booleans())
def test_equal_is_nought_and_other_is_not_negative(a: Array, b: Array, logits: bool) -> None:
    assert divergence(a, a, logits=logits) == 0
    assert divergence(a, b, logits=logits) >= 0


@given(scores, scores, st.floats(-20, 20))
def test_scores_count_up_to_a_constant(a: Array, b: Array, shift: float) -> None:
    assert divergence(a, b + np.float32(shift), logits=True) == pytest.approx(divergence(a, b, logits=True), abs=1e-4)


def test_the_relative_error_is_one_at_the_mean() -> None:
    a = np.random.default_rng(0).standard_normal((50, 3)).astype(np.float32) + 100
    assert divergence(a, np.broadcast_to(a.mean(0), a.shape), logits=False) == pytest.approx(1, rel=1e-4)
    assert divergence(1000 * a, 1000 * (a + 1), logits=False) == pytest.approx(
        divergence(a, a + 1, logits=False), rel=1e-3
    )


def test_a_reference_that_does_not_vary() -> None:
    one = np.full((1, 4), 3.0)
    assert divergence(one, 1.5 * one, logits=False) == pytest.approx(0.25)
    assert divergence(np.zeros((2, 4)), np.ones((2, 4)), logits=False) == 8


@pytest.mark.parametrize("logits", [False, True])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_never_other_than_finite(bad: float, logits: bool) -> None:
    a = np.random.default_rng(0).standard_normal((3, 4))
    broken = a.copy()
    broken[1, 2] = bad
    assert divergence(broken, broken, logits=logits) == 0
    assert 1 < divergence(a, broken, logits=logits) < np.inf
    assert divergence(np.full((2, 2), 1e300), -np.full((2, 2), 1e300), logits=False) < np.inf


def test_probabilities_become_scores() -> None:
    p = softmax(np.random.default_rng(0).standard_normal((3, 4)), 1)
    np.testing.assert_allclose(softmax(as_logits(p), 1), p)
    assert np.isfinite(as_logits(np.zeros((1, 2)))).all()


def test_disagreement_is_a_share() -> None:
    assert disagreement(np.array([1, 2, 3, 4]), np.array([1, 2, 0, 4])) == 0.25
    assert disagreement(np.empty(0), np.empty(0)) == 0


@pytest.mark.parametrize(
    ("shape", "made_by", "wanted"),
    [
        ((4, 10), "Gemm", True),
        ((4, 10), "LogSoftmax", True),
        ((4, 1), "Gemm", False),
        ((4, 10), "Sigmoid", False),
        ((4, 10, 3), "Add", False),
    ],
)
def test_which_outputs_are_class_scores(shape: tuple[int, ...], made_by: str, wanted: bool) -> None:
    assert looks_like_logits(shape, made_by) is wanted


def test_a_judge_compares_with_what_was_before() -> None:
    b = Builder("judged")
    x = b.input("x", ["N", 4])
    y = b.gemm(x, 3)
    model = b.model(y, b.softmax(y), b.node("ArgMax", [y], axis=1))
    graph, inputs = graph_of(model), feeds(model, 0, 100)
    known = judge(graph, Calibration.from_arrays(inputs), OrtRunner(1))
    assert known.of(graph) == 0
    weight = graph.tensors()["weight_0"]
    changed = graph.copy()
    changed.set_array(changed.tensors()["weight_0"], 1.3 * weight.array)
    outputs = (OrtRunner(1).session(g).run(inputs)["softmax_0_out"].astype(float) for g in (graph, changed))
    p, q = (softmax(np.log(each) / TEMPERATURE, 1) for each in outputs)
    assert known.of(changed) == pytest.approx(
        2 * rel_entr(p, q).sum(1).mean(), rel=1e-3
    )  # the scores and their softmax


def test_a_decision_is_judged_by_what_it_is_taken_from() -> None:
    b = Builder("decided")
    graph_model = b.model(b.node("ArgMax", [b.gemm(b.input("x", ["N", 4]), 3)], axis=1))
    graph, inputs = graph_of(graph_model), feeds(graph_model, 0, 50)
    known = judge(graph, Calibration.from_arrays(inputs), OrtRunner(1))
    changed = graph.copy()
    changed.set_array(changed.tensors()["weight_0"], -graph.tensors()["weight_0"].array)
    scores = (OrtRunner(1).session(g, outputs=["gemm_0_out"]).run(inputs)["gemm_0_out"] for g in (graph, changed))
    assert known.of(changed) == pytest.approx(divergence(*scores, logits=True)) and known.of(graph.copy()) == 0


def test_whole_numbers_count_where_nothing_else_is_put_out() -> None:
    graph = build("(int64[N, 3] x) => (int64[N, 3] y) { y = Add(x, k) }", {"k": np.array([0, 0, 0])})
    known = judge(graph, Calibration.from_arrays({"x": np.ones((4, 3), np.int64)}), OrtRunner(1))
    changed = graph.copy()
    changed.set_array(changed.tensors()["k"], np.array([0, 1, 0]))
    assert known.of(changed) == pytest.approx(1 / 3)


def test_rows_of_different_scale_count_alike() -> None:
    a = np.random.default_rng(0).standard_normal((50, 2)) * [1, 1000]
    b = a + np.random.default_rng(1).standard_normal((50, 2)) * [0.1, 0]
    assert divergence(a, b, logits=False) < 1e-7
    assert divergence(a, b, logits=False, rows=1) == pytest.approx(0.5 * divergence(a[:, :1], b[:, :1], logits=False))


def test_samples_may_lie_on_another_axis_of_an_output() -> None:
    b = Builder("turned")
    model = b.model(b.transpose(b.gemm(b.input("x", ["N", 4]), 3), 1, 0))
    graph = graph_of(model)
    known = judge(graph, Calibration.from_arrays(feeds(model, 0, 100)), OrtRunner(1))  # batches of 64 and 36
    assert known.of(graph) == 0


def test_rare_answers_count_by_the_root_of_their_places() -> None:
    answers = np.repeat([0, 1], [36, 4]).reshape(4, 10)
    scores = 5 * np.eye(2)[answers]
    found = counts([scores[:3], scores[3:]], 2)
    assert [batch.shape for batch in found] == [(3, 10), (1, 10)]
    weights = np.concatenate(found)
    assert weights.mean() == pytest.approx(1)
    assert weights[answers == 1].sum() == pytest.approx(weights[answers == 0].sum() / 3)
    assert np.array_equal(counts([np.eye(3)[[0, 0, 1]]], 1)[0], np.ones(3))  # one answer a sample


def test_a_judge_hears_the_rare_places_of_a_line() -> None:
    graph = build(
        "(float[N, 10, 3] x) => (float[N, 10, 3] y) { z = Add(x, k)  y = Softmax <axis: int = -1> (z) }",
        {"k": np.zeros((10, 3), np.float32)},
    )
    lines = np.tile(4 * np.eye(3, dtype=np.float32)[[0] * 9 + [1]], (4, 1, 1))
    known = judge(graph, Calibration.from_arrays({"x": lines}), OrtRunner(1))
    moved = []
    for place in (0, 9):  # four of the 36 places with one answer, and all four with the other
        changed = graph.copy()
        shift = np.zeros((10, 3), np.float32)
        shift[place, 2] = 3
        changed.set_array(changed.tensors()["k"], shift)
        moved.append(known.of(changed))
    assert moved[1] == pytest.approx(3 * moved[0], rel=1e-5)


def test_sure_answers_are_softened_more() -> None:
    scores = np.random.default_rng(0).standard_normal((101, 4))
    found = margins(scores)
    assert found == pytest.approx([row[-1] - row[-2] for row in np.sort(scores, 1)])
    assert temperature(found) == TEMPERATURE == temperature(np.empty(0))
    heat = temperature(50 * found)
    two = np.stack([np.zeros(101), -50 * found / heat], 1)
    assert np.median(softmax(two, 1)[:, 0]) == pytest.approx(0.961, abs=1e-3)
    assert margins(np.ones((3, 1))) == pytest.approx(np.zeros(3))
    masked = np.where(np.arange(5) % 5 < 3, 1e9, 1.0)
    assert temperature(masked) == temperature(np.full(5, -np.log(1e-12)))


def test_outputs_without_places() -> None:
    assert [batch.shape for batch in counts([np.zeros((2, 0, 5)), np.zeros((1, 0, 5))], 2)] == [(2, 0), (1, 0)]
    assert Answers.of([np.zeros((0, 5))], 1, False).heat == TEMPERATURE
