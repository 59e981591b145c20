"""Properties: gradients of cutting, padding, taking and broadcasting over shapes."""

from __future__ import annotations

import numpy as np
from derivatives import Case, spread
from derivatives.differences import hold
from hypothesis import given, settings
from hypothesis import strategies as st

few = settings(max_examples=30, derandomize=True)
shapes = st.lists(st.integers(1, 5), min_size=1, max_size=4)


def ints(values: object) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    """Return a list as operators take it."""
    return np.array(values, np.int64)


@few
@given(shapes, st.data())
def test_slices(shape: list[int], data: st.DataObject) -> None:
    axes = data.draw(st.lists(st.sampled_from(range(len(shape))), min_size=1, unique=True))
    spans = []
    for axis in axes:
        first, last = sorted(data.draw(st.tuples(st.integers(0, shape[axis] - 1), st.integers(1, shape[axis]))))
        step, last = data.draw(st.integers(1, 3)), max(last, first + 1)
        back = data.draw(st.booleans())
        spans.append(
            (last - 1, first - 1 - shape[axis] if first == 0 else first - 1, -step) if back else (first, last, step)
        )
    starts, ends, steps = zip(*spans, strict=True)
    named = [axis - len(shape) if data.draw(st.booleans()) else axis for axis in axes]
    hold(Case("Slice", spread(*shape), *map(ints, (starts, ends, named, steps))))


@few
@given(shapes, st.sampled_from(["constant", "edge", "reflect", "wrap"]), st.data())
def test_pads(shape: list[int], mode: str, data: st.DataObject) -> None:
    axes = data.draw(st.lists(st.sampled_from(range(len(shape))), min_size=1, unique=True))
    most = {axis: 3 if mode in ("constant", "edge") else shape[axis] - 1 for axis in axes}
    least = {axis: -((shape[axis] - 1) // 2) if mode in ("constant", "edge") else 0 for axis in axes}
    pads = [data.draw(st.integers(least[axis], most[axis])) for axis in axes * 2]
    hold(Case("Pad", spread(*shape), ints(pads), None, ints(axes), mode=mode, opset=19))


@few
@given(shapes, shapes, st.data())
def test_takes(shape: list[int], taken: list[int], data: st.DataObject) -> None:
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    size = shape[axis]
    count = int(np.prod(taken))
    places = data.draw(st.lists(st.integers(-size, size - 1), min_size=count, max_size=count))
    hold(Case("Gather", spread(*shape), ints(places).reshape(taken), axis=axis))


@few
@given(shapes, st.data(), st.sampled_from(["Add", "Sub", "Mul", "Div", "Max", "Min"]))
def test_broadcasts(shape: list[int], data: st.DataObject, op: str) -> None:
    masks = st.lists(st.booleans(), min_size=len(shape), max_size=len(shape))
    one, other = ([1 if m else s for m, s in zip(data.draw(masks), shape, strict=True)] for _ in range(2))
    one = one[data.draw(st.integers(0, len(shape))) :]
    hold(Case(op, spread(*one), 1.1 * spread(*other, seed=8)))


@few
@given(st.lists(st.integers(1, 3), max_size=2), st.tuples(*[st.integers(1, 4)] * 3), st.data())
def test_products(lead: list[int], sizes: tuple[int, int, int], data: st.DataObject) -> None:
    masks = st.lists(st.booleans(), min_size=len(lead), max_size=len(lead))
    left, right = (
        [1 if m else s for m, s in zip(data.draw(masks), lead, strict=True)][data.draw(st.integers(0, len(lead))) :]
        for _ in range(2)
    )
    rows, inner, columns = sizes
    hold(Case("MatMul", spread(*left, rows, inner), spread(*right, inner, columns, seed=3)))
