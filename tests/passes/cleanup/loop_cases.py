"""Loops that compute recurrent cells, as exporters write them, to test what becomes of them."""

from collections.abc import Mapping

import numpy as np

from optimise_onnx.ir.graph import Graph

from .support import Array, build, normal

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
