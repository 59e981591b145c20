"""Properties: gradients of convolutions, pools and Resize over their attributes and shapes."""

from __future__ import annotations

from typing import Any

import numpy as np
from derivatives import Case, Fixed, spread
from derivatives.differences import hold
from derivatives.windows import PLACES, ROUNDINGS
from hypothesis import assume, given, settings
from hypothesis import strategies as st

Drawn = tuple[dict[str, Any], list[int], list[int]]

few = settings(max_examples=40, derandomize=True)


@st.composite
def walks(draw: st.DrawFn, pads: bool = True) -> Drawn:
    """Draw how a window walks: attributes, its sizes, and those of what it reads."""
    dims = draw(st.integers(1, 3))
    most = {1: 9, 2: 6, 3: 4}[dims]

    def each(low: int, high: int, count: int = dims) -> list[int]:
        return draw(st.lists(st.integers(low, high), min_size=count, max_size=count))

    form: dict[str, Any] = {"strides": each(1, 3)}
    kernel, dilations = each(1, 3), each(1, 2)
    mode = draw(st.sampled_from(["pads", "pads", "pads", "VALID", "SAME_UPPER", "SAME_LOWER"]))
    if mode == "pads" and pads:
        form["pads"] = [min(p, k - 1) for p, k in zip(each(0, 2, 2 * dims), 2 * kernel, strict=True)]
    if mode != "pads":
        form["auto_pad"] = mode
    if mode.startswith("SAME"):  # onnxruntime takes no dilations with it
        dilations = [1] * dims
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    sizes = [draw(st.integers(r, max(r, most))) for r in reach]
    return {**form, "dilations": dilations}, kernel, sizes


@st.composite
def groupings(draw: st.DrawFn) -> tuple[int, int, int]:
    """Draw groups, channels read and channels written in each: depthwise, with a multiplier, grouped or whole."""
    kind = draw(st.sampled_from(["depthwise", "multiplier", "grouped", "whole"]))
    if kind == "depthwise":
        return draw(st.sampled_from([2, 3, 5, 8, 12])), 1, 1
    if kind == "multiplier":
        return draw(st.integers(2, 4)), 1, draw(st.integers(2, 3))
    return 1 if kind == "whole" else draw(st.integers(2, 3)), draw(st.integers(1, 3)), draw(st.integers(1, 3))


@few
@given(walks(), groupings(), st.integers(1, 2), st.booleans())
def test_convolutions(walk: Drawn, grouping: tuple[int, int, int], batch: int, biased: bool) -> None:
    (form, kernel, sizes), (groups, inner, outer) = walk, grouping
    x, w = spread(batch, groups * inner, *sizes), spread(groups * outer, inner, *kernel, seed=3)
    hold(Case("Conv", x, w, *([spread(groups * outer, seed=5)] if biased else []), group=groups, **form))


@few
@given(walks(), groupings(), st.integers(1, 2), st.data())
def test_transposed_convolutions(walk: Drawn, grouping: tuple[int, int, int], batch: int, data: st.DataObject) -> None:
    (form, kernel, sizes), (groups, inner, outer) = walk, grouping
    sizes = [min(size, 4) for size in sizes]
    extra = [data.draw(st.integers(0, step - 1)) for step in form["strides"]]
    if "pads" in form:
        form["output_padding"] = extra
    elif "auto_pad" not in form and data.draw(st.booleans()):
        rows = zip(sizes, form["strides"], kernel, form["dilations"], strict=True)
        whole = [s * (n - 1) + (k - 1) * d + 1 for n, s, k, d in rows]
        form["output_shape"] = [n - data.draw(st.integers(0, k - 1)) for n, k in zip(whole, kernel, strict=True)]
    assume(all(k >= s for k, s in zip(kernel, form["strides"], strict=True)) or "auto_pad" not in form)
    x, w = spread(batch, groups * inner, *sizes), spread(groups * inner, outer, *kernel, seed=3)
    hold(Case("ConvTranspose", x, w, spread(groups * outer, seed=5), group=groups, **form))


@few
@given(walks(), st.booleans(), st.booleans(), st.sampled_from(["MaxPool", "AveragePool"]))
def test_pools(walk: Drawn, ceil: bool, padded: bool, op: str) -> None:
    form, kernel, sizes = walk
    ceil = ceil and "auto_pad" not in form
    assume("auto_pad" not in form or all(k >= s for k, s in zip(kernel, form["strides"], strict=True)))
    assume(not ceil or _no_window_of_padding(form, kernel, sizes))
    form = {**form, "kernel_shape": kernel, "ceil_mode": int(ceil)}
    if op == "AveragePool":
        form |= {"count_include_pad": int(padded)}
    hold(Case(op, spread(1, 2, *sizes), opset=19, **form))


def _no_window_of_padding(form: dict[str, Any], kernel: list[int], sizes: list[int]) -> bool:
    """Whether every window begins before the padding behind: onnxruntime drops others, inference of shapes does not."""
    dims = len(sizes)
    pads = form.get("pads", [0] * 2 * dims)
    rows = zip(sizes, kernel, form["strides"], form["dilations"], pads[:dims], pads[dims:], strict=True)
    return all(-(-(n + b + e - (k - 1) * d - 1) // s) * s < n + b for n, k, s, d, b, e in rows)


@few
@given(
    st.sampled_from(["nearest", "linear"]),
    st.sampled_from(PLACES),
    st.sampled_from(ROUNDINGS),
    st.lists(st.tuples(st.integers(1, 7), st.integers(1, 10)), min_size=1, max_size=2),
    st.booleans(),
)
def test_resizes(mode: str, place: str, rounding: str, rows: list[tuple[int, int]], scaled: bool) -> None:
    before, after = zip(*rows, strict=True)
    form = {"mode": mode, "coordinate_transformation_mode": place, "nearest_mode": rounding}
    by = [None, Fixed([1, 1, *((a + 0.25) / b for b, a in rows)])] if scaled else [None, None, np.array([1, 2, *after])]
    hold(Case("Resize", spread(1, 2, *before), *by, opset=19, **form), linear=True)
