"""Loops that compute a GRU, LSTM or RNN become one, however they are written; what differs in anything stays."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from optimise_onnx.ir.graph import Graph
from optimise_onnx.passes.analysis.channels.groups import analyse
from optimise_onnx.passes.cleanup.constants import FoldConstants
from tests.oracle import distance

from .support import Array, applied, build, checked, normal, ops

STEPS, INPUT, HIDDEN = 5, 3, 4
PARTS = "<axis = -1, num_outputs = 3>"
AFTER = f"""
    px = MatMul(x, w)
    bx = Add(px, b)
    xz, xr, xn = Split{PARTS}(bx)
    ph = MatMul(h, r)
    bh = Add(ph, c)
    hz, hr, hn = Split{PARTS}(bh)
    az = Add(xz, hz)
    z = Sigmoid(az)
    ar = Add(hr, xr)
    reset = Sigmoid(ar)
    scaled = Mul(reset, hn)
    an = Add(xn, scaled)
    n = Tanh(an)
"""
BEFORE = """
    px = MatMul(x, w)
    bx = Add(px, b)
    xg = Slice(bx, zero1, wide, last)
    xn = Slice(bx, wide, far, last)
    rg = Slice(r, zero1, wide, last)
    rn = Slice(r, wide, far, last)
    hg = MatMul(h, rg)
    ag = Add(xg, hg)
    both = Sigmoid(ag)
    z, reset = Split<axis = 1, num_outputs = 2>(both)
    scaled = Mul(h, reset)
    hn = MatMul(scaled, rn)
    an = Add(xn, hn)
    n = Tanh(an)
"""
MIX = """
    rest = Sub(one, z)
    new = Mul(rest, n)
    old = Mul(z, h)
    next = Add(old, new)
"""
TURNED = """
    gap = Sub(n, h)
    moved = Mul(gap, z)
    next = Add(h, moved)
"""
GRU = AFTER + MIX
RNN = """
    px = MatMul(x, wn)
    ph = MatMul(h, rn1)
    both = Add(px, ph)
    sum = Add(bn, both)
    next = Relu(sum)
"""
LSTM = """
    px = Gemm<transB = 1>(x, wt, b4)
    ph = MatMul(h, r4)
    all = Add(px, ph)
    ai, af, ag, ao = Split<axis = 1, num_outputs = 4>(all)
    i1 = Sigmoid(ai)
    f1 = Sigmoid(af)
    g1 = Tanh(ag)
    o1 = Sigmoid(ao)
    kept = Mul(f1, m)
    added = Mul(i1, g1)
    memory = Add(kept, added)
    seen = Tanh(memory)
    next = Mul(o1, seen)
"""
WEIGHTS: Mapping[str, Array] = {
    "w": normal(INPUT, 3 * HIDDEN),
    "r": normal(HIDDEN, 3 * HIDDEN),
    "b": normal(3 * HIDDEN),
    "c": normal(3 * HIDDEN, seed=1),
    "wn": normal(INPUT, HIDDEN),
    "rn1": normal(HIDDEN, HIDDEN),
    "bn": normal(1, HIDDEN),
    "wt": normal(4 * HIDDEN, INPUT),
    "r4": normal(HIDDEN, 4 * HIDDEN),
    "b4": normal(4 * HIDDEN),
    "one": np.array(1, np.float32),
    "two": np.array(2, np.float32),
    "zero1": np.array([0]),
    "wide": np.array([2 * HIDDEN]),
    "far": np.array([2**31 - 1]),
    "last": np.array([1]),
    "start": np.array(0),
    "step": np.array(1),
    "second": np.array(2),
    "steps": np.array(STEPS),
    "fewer": np.array(STEPS - 1),
    "end": np.array(STEPS - 1),
    "ahead": np.array(2),
    "yes": np.array(True),
    "zeros": np.zeros((1, HIDDEN), np.float32),
}
FEEDS = {"s": normal(STEPS, 2, INPUT)}
READ = "x = Gather(s, k)"
COUNTED = """
    k1 = Add(k, step)
    go = Less(k1, {steps})
"""
S = f"float[{STEPS}, N, {INPUT}] s"


def loop(
    cell: str,
    read: str = READ,
    inputs: str = S,
    before: str = "",
    after: str = "",
    trips: str = "steps",
    condition: str = COUNTED.format(steps="steps"),
    first: str = "zeros",
    collected: str = "next",
    opset: int = 18,
    ends: str = f"float[N, {HIDDEN}] y, float[T, N, {HIDDEN}] all_y",
) -> Graph:
    """A Loop with a hidden state h, a memory m and a counter k; ``y`` is the last h, ``all_y`` what is collected."""
    state = "float[n, m]"
    memory = "memory" if "memory =" in cell else "m"
    return build(
        f"""({inputs}) => ({ends}) {{
            {before}
            kend, y, mend, all_y = Loop<body = step_body (int64 i, bool going, int64 k, {state} h, {state} m)
                => (bool go, int64 k1, {state} next_out, {state} m_out, {state} handed) {{
                {read}
                {cell}
                {condition}
                next_out = Identity(next)
                m_out = Identity({memory})
                handed = Identity({collected})
            }}>({trips}, yes, start, {first}, zeros)
            {after}
        }}""",
        WEIGHTS,
        opset=opset,
    )


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
