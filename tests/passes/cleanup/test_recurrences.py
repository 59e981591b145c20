"""Loops that compute a GRU, LSTM or RNN become one, however they are written; what differs in anything stays."""

from collections.abc import Mapping
from typing import Any

import pytest

from optimise_onnx.ir.graph import Graph
from optimise_onnx.passes.analysis.channels.groups import analyse
from optimise_onnx.passes.cleanup.constants import FoldConstants
from tests.oracle import distance

from .loop_cases import AFTER, BEFORE, COUNTED, FEEDS, GRU, HIDDEN, INPUT, LSTM, MIX, RNN, STEPS, TURNED, S, loop
from .support import Array, applied, checked, normal, ops


def written(graph: Graph, feeds: Mapping[str, Array] = FEEDS) -> list[str]:
    """Return the recurrent operators and Loops that are left, outputs compared."""
    return [op for op in ops(checked(graph, FoldConstants(), feeds)) if op in ("GRU", "LSTM", "Loop", "RNN")]


def stays(graph: Graph, feeds: Mapping[str, Array] = FEEDS) -> bool:
    """Whether the Loop is left as it is, whatever else the pass does."""
    once, _ = applied(graph, FoldConstants())
    assert distance(graph, once, feeds) < 1e-5
    return [op for op in ops(once) if op in ("GRU", "LSTM", "Loop", "RNN")] == ["Loop"]


@pytest.mark.parametrize(
    ("cell", "op"),
    [
        (AFTER + MIX, "GRU"),
        (AFTER + TURNED, "GRU"),
        (BEFORE + MIX, "GRU"),
        (BEFORE + TURNED, "GRU"),
        (RNN, "RNN"),
        (LSTM, "LSTM"),
    ],
)
def test_a_cell_is_its_operator_however_it_is_written(cell: str, op: str) -> None:
    assert written(loop(cell)) == [op]


def test_an_operator_set_without_axes_as_inputs() -> None:
    assert written(loop(RNN, opset=11)) == ["RNN"]


def test_what_scales_the_state_before_its_product_and_after_is_told_apart() -> None:
    for cell, after in ((AFTER, 1), (BEFORE, 0)):
        graph = checked(loop(cell + MIX), FoldConstants(), FEEDS)
        (gru,) = (node for node in graph.nodes if node.op == "GRU")
        assert gru.attributes.get("linear_before_reset", 0) == after


def test_its_units_can_go() -> None:
    graph = loop(GRU, after="score = MatMul(y, r4)", ends=f"float[N, {4 * HIDDEN}] score")
    assert analyse(graph).groups == ()
    assert [group.width for group in analyse(checked(graph, FoldConstants(), FEEDS)).groups] == [HIDDEN]


@pytest.mark.parametrize("axis", [0, 1])
def test_steps_are_taken_from_the_end_or_along_another_axis(axis: int) -> None:
    read = f"""
        back = Sub(end, k)
        x = Gather<axis = {axis}>(s, back)
    """
    turned = {"s": FEEDS["s"].swapaxes(0, axis)}
    dims = f"float[{STEPS}, N, {INPUT}] s" if axis == 0 else f"float[N, {STEPS}, {INPUT}] s"
    assert written(loop(GRU, read, dims), turned) == ["GRU"]
    assert written(loop(GRU, f"x = Gather<axis = {axis}>(s, i)", dims), turned) == ["GRU"]


COUNT = """
    shape = Shape<start = 0, end = 1>(s)
    length = Squeeze(shape)
"""


def test_a_number_of_steps_that_is_open() -> None:
    inputs = f"float[T, N, {INPUT}] s"
    graph = loop(GRU, inputs=inputs, before=COUNT, trips="length", condition=COUNTED.format(steps="length"))
    result = checked(graph, FoldConstants(), FEEDS)
    assert "GRU" in ops(result)
    checked(result, FoldConstants(), {"s": normal(9, 3, INPUT)}, changes=False)


def test_a_state_that_is_given() -> None:
    inputs = f"{S}, float[N, {HIDDEN}] first"
    assert written(loop(GRU, inputs=inputs, first="first"), {**FEEDS, "first": normal(2, HIDDEN)}) == ["GRU"]
    other = inputs.replace(f"N, {HIDDEN}", f"M, {HIDDEN}")
    assert stays(loop(GRU, inputs=other, first="first"), {**FEEDS, "first": normal(2, HIDDEN)})


def test_a_cell_may_read_the_new_state_of_another_one_but_not_the_old() -> None:
    upper = """
        pm = MatMul(m, rn1)
        pn = MatMul(next, rn1)
        above = Add(pm, pn)
        memory = Tanh(above)
    """
    assert written(loop(GRU + upper, collected="memory")) == ["GRU", "RNN"]
    late = loop(GRU + upper.replace("next", "h"), collected="memory")
    assert stays(late, {"s": normal(STEPS, 1, INPUT)})


def test_a_state_that_changes_its_width_stays() -> None:
    wider = RNN.replace("wn", "w").replace("rn1", "r").replace("bn", "b")
    ends = f"float[N, {3 * HIDDEN}] y"
    graph = loop(
        wider, inputs=f"float[1, N, {INPUT}] s", ends=ends, trips="step", condition=COUNTED.format(steps="step")
    )
    assert stays(graph, {"s": normal(1, 1, INPUT)})


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("rest = Sub(one, z)", "rest = Sub(two, z)"),
        ("old = Mul(z, h)", "old = Mul(reset, h)"),
        ("new = Mul(rest, n)", "all = Add(rest, z)\nnew = Mul(all, n)"),
        ("next = Add(old, new)", "next = Sub(old, new)"),
        ("z = Sigmoid(az)", "z = HardSigmoid(az)"),
        ("reset = Sigmoid(ar)", "reset = Tanh(ar)"),
        ("az = Add(xz, hz)", "az = Mul(xz, hz)"),
        ("an = Add(xn, scaled)", "an = Add(hn, scaled)"),
        ("ph = MatMul(h, r)", "ph = MatMul(m, r)"),
        ("ph = MatMul(h, r)", "more = Mul(h, h)\nph = MatMul(more, r)"),
        ("n = Tanh(an)", "squared = Mul(an, an)\nn = Tanh(squared)"),
        ("next = Add(old, new)", "more = Add(old, new)\nnext = Add(more, n)"),
    ],
)
def test_another_equation_stays(old: str, new: str) -> None:
    assert GRU.count(old) == 1
    assert stays(loop(GRU.replace(old, new)))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("kept = Mul(f1, m)", "twice = Mul(m, m)\nkept = Mul(f1, twice)"),
        ("g1 = Tanh(ag)", "g1 = Softplus(ag)"),
        ("seen = Tanh(memory)", "seen = Softplus(memory)"),
    ],
)
def test_another_memory_stays(old: str, new: str) -> None:
    assert LSTM.count(old) == 1
    assert stays(loop(LSTM.replace(old, new)))


def test_steps_from_the_end_stay_where_no_slice_goes_backwards() -> None:
    assert stays(loop(RNN, "back = Sub(end, k)\nx = Gather(s, back)", opset=9))


def test_the_same_loop_gives_the_same_weights() -> None:
    alike = LSTM.replace("g1 = Tanh(ag)", "g1 = Sigmoid(ag)")
    made = {checked(loop(alike), FoldConstants(), FEEDS).to_model().SerializeToString() for _ in range(6)}
    assert len(made) == 1


@pytest.mark.parametrize(
    "other",
    [
        {"trips": "fewer", "ends": f"float[N, {HIDDEN}] y"},
        {"condition": COUNTED.format(steps="fewer"), "ends": f"float[N, {HIDDEN}] y"},
        {"condition": "k1 = Add(k, step)\nlargest = ReduceMax<keepdims = 0>(next)\ngo = Less(largest, two)"},
        {"condition": "k1 = Add(k, second)\ngo = Less(k1, steps)", "read": "x = Gather(s, i)"},
        {"read": "x = Gather(s, start)"},
        {"read": "k2 = Div(k, second)\nx = Gather(s, k2)"},
        {"collected": "n"},
        {"ends": f"float[N, {HIDDEN}] y, int64 kend"},
    ],
)
def test_another_walk_stays(other: dict[str, Any]) -> None:
    assert stays(loop(GRU, **other))
