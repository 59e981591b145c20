"""An If whose condition is known is written as the branch that it takes, whatever its tensors are called."""

import time

import numpy as np
import pytest

from optimise_onnx.ir.branches import take_branches
from optimise_onnx.passes.cleanup.constants import FoldConstants
from tests.passes.cleanup.support import build, checked, normal, ops
from tests.zoo import ZOO

FOLD = FoldConstants()
BOTH = (
    "<then_branch = yes () => (float[N, 4] a) { b = MatMul (h, w) a = Relu (b) },"
    " else_branch = no () => (float[N, 4] a) { b = MatMul (h, v) a = Tanh (b) }>"
)
WEIGHTS = {"w": normal(4, 4), "v": normal(4, 4)}


@pytest.mark.parametrize("taken", [True, False])
def test_the_branch_that_is_taken_stays(taken: bool) -> None:
    graph = build(
        f"(float[N, 4] x) => (float[N, 4] y) {{ h = Neg (x) y = If (c) {BOTH} }}", {**WEIGHTS, "c": np.array(taken)}
    )
    found = checked(graph, FOLD, {"x": normal(3, 4)})
    assert ops(found) == ["Neg", "MatMul", "Relu" if taken else "Tanh"]
    assert [tensor.name for tensor in found.constants()] == ["w" if taken else "v"]


def test_a_condition_on_a_known_size_is_known() -> None:
    graph = build(
        "(float[N, 4] x) => (float[N, 4] y) {"
        f" h = Neg (x) s = Shape <start = 1> (x) c = Equal (s, four) y = If (c) {BOTH} }}",
        {**WEIGHTS, "four": np.array([4])},
    )
    assert ops(checked(graph, FOLD, {"x": normal(3, 4)})) == ["Neg", "MatMul", "Relu"]


def test_two_branches_with_the_same_names_and_a_nested_one() -> None:
    nested = (
        f"yes () => (float[N, 4] z) {{ z = If (c) {BOTH} }}, else_branch = no () => (float[N, 4] z) {{ z = Abs (h) }}"
    )
    graph = build(
        "(float[N, 4] x, bool flag) => (float[N, 4] y) {"
        f" h = Neg (x) p = If (c) {BOTH} q = If (c) <then_branch = {nested}> r = If (flag) {BOTH}"
        " s = Add (p, q) y = Add (s, r) }",
        {**WEIGHTS, "c": np.array([True])},
    )
    found = checked(graph, FOLD, {"x": normal(3, 4), "flag": np.array(False)})
    assert sorted(ops(found)) == ["Add", "Add", "If", "MatMul", "MatMul", "Neg", "Relu", "Relu"]


def test_ends_that_a_branch_does_not_compute() -> None:
    """An outer tensor, a stored one, and one that two outputs of the model read."""
    graph = build(
        "(float[N, 4] x) => (float[N, 4] y, float[4] z, float[N, 4] u) {"
        " h = Neg (x) y, z, u = If (c) <"
        "then_branch = yes () => (float[N, 4] p, float[4] q, float[N, 4] r) "
        "{ p = Identity (h) q = Identity (k) r = Identity (h) },"
        "else_branch = no () => (float[N, 4] p, float[4] q, float[N, 4] r) "
        "{ p = Abs (h) q = Neg (k) r = Relu (h) }> }",
        {"c": np.array(True), "k": normal(4)},
    )
    assert "If" not in ops(checked(graph, FOLD, {"x": normal(3, 4)}))


def test_a_condition_that_is_an_input_decides_later() -> None:
    model = ZOO["if_branches"]()
    assert "If" in [node.op_type for node in model.graph.node]
    graph = build(f"(float[N, 4] x, bool c) => (float[N, 4] y) {{ h = Neg (x) y = If (c) {BOTH} }}", WEIGHTS)
    assert ops(checked(graph, FOLD, {"x": normal(3, 4), "c": np.array(True)}, changes=False)) == ["Neg", "If"]


def test_what_a_branch_hands_out_as_it_is_stored_gives_way_to_others_of_its_name() -> None:
    """Two branches store a tensor of one name and hand it out; one that is undecided has another of that name."""
    no = "else_branch = no () => (float[4] l) { l = Abs (o) }"
    stored = f"<then_branch = yes () => (float[4] k) <float[4] k = {{1, 2, 3, 4}}> {{ }}, {no}>"
    undecided = f"<then_branch = yes () => (float[4] k) {{ k = Neg (o) }}, {no}>"
    graph = build(
        f"(float[4] x, bool f) => (float[4] y) {{ o = Neg (x) p = If (c) {stored} q = If (c) {stored}"
        f" r = If (f) {undecided} s = Add (p, q) y = Add (s, r) }}",
        {"c": np.array(True)},
    )
    found = checked(graph, FOLD, {"x": normal(4), "f": np.array(True)})
    assert sorted(ops(found)) == ["Add", "If", "Neg"]


def test_many_branches_take_no_longer_each() -> None:
    def seconds(count: int) -> float:
        names = [f"t{number}" for number in range(count + 1)]
        pairs = zip(names, names[1:], strict=False)
        ifs = " ".join(f"{b} = If (c) {BOTH.replace('h, ', f'{a}, ')}" for a, b in pairs)
        text = f"(float[N, 4] x) => (float[N, 4] y) {{ t0 = Neg (x) {ifs} y = Neg ({names[-1]}) }}"
        graph = build(text, {**WEIGHTS, "c": np.array(True)})
        begin = time.process_time()
        take_branches(graph, {node: True for node in graph.nodes if node.op == "If"})
        return time.process_time() - begin

    assert seconds(400) < 12 * max(seconds(100), 0.01)
