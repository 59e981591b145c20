"""Convolution and pooling against loops, on integers: equal, not close."""

from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from optimise_onnx.backends.hls.arithmetic import convolve, pool, window_counts, window_sums

Array = NDArray[np.float64]
SIZES = st.tuples(st.integers(1, 3), st.integers(1, 3))
PADS = st.tuples(*[st.integers(0, 2)] * 4)


def numbers(*shape: int) -> Array:
    return np.random.default_rng(list(shape)).integers(-(2**20), 2**20, shape).astype(np.float64)


def windows(x: Array, size: Any, strides: Any, pads: Any, value: float) -> list[list[Array]]:
    """Cut all windows (n, kh, kw, C) out of a padded picture, one by one."""
    padded = np.full((x.shape[0], x.shape[1] + pads[0] + pads[2], x.shape[2] + pads[1] + pads[3], x.shape[3]), value)
    padded[:, pads[0] : pads[0] + x.shape[1], pads[1] : pads[1] + x.shape[2]] = x
    rows = range(0, padded.shape[1] - size[0] + 1, strides[0])
    columns = range(0, padded.shape[2] - size[1] + 1, strides[1])
    return [[padded[:, i : i + size[0], j : j + size[1]] for j in columns] for i in rows]


@given(SIZES, SIZES, PADS, st.integers(1, 3), st.integers(1, 3))
def test_convolution(size: Any, strides: Any, pads: Any, depth: int, results: int) -> None:
    x, kernel = numbers(2, 5, 4, depth), numbers(*size, depth, results)
    slow = [
        [np.einsum("nhwc,hwco->no", one, kernel) for one in row] for row in windows(x, size, strides, pads, 0.0)
    ]  # fmt: skip
    given = convolve(x, kernel, strides, pads)
    assert (given == np.array(slow).transpose(2, 0, 1, 3)).all()
    assert given.shape[1:3] == (len(slow), len(slow[0]))


@given(SIZES, SIZES, PADS)
def test_depthwise_is_the_diagonal_of_a_dense_one(size: Any, strides: Any, pads: Any) -> None:
    x, kernel = numbers(2, 5, 4, 3), numbers(*size, 3, 1)
    dense = kernel * np.eye(3)
    assert (convolve(x, kernel, strides, pads, True) == convolve(x, dense, strides, pads)).all()


@pytest.mark.parametrize("kind", ["max", "average"])
@given(SIZES, SIZES, st.integers(0, 2), st.integers(0, 2))
def test_pools_leave_padding_out(
    kind: Literal["max", "average"], size: Any, strides: Any, before: int, behind: int
) -> None:
    pads = tuple(min(pad, k - 1) for pad, k in zip((before, behind, behind, before), (*size, *size), strict=True))
    x, reduced = numbers(2, 5, 4, 3), {"max": np.nanmax, "average": np.nanmean}[kind]
    slow = [[reduced(one, axis=(1, 2)) for one in row] for row in windows(x, size, strides, pads, np.nan)]
    given = pool(x, kind, size, strides, (pads[0], pads[1], pads[2], pads[3]))
    assert np.array_equal(given, np.array(slow).transpose(2, 0, 1, 3))


def test_sums_and_counts_of_windows() -> None:
    x = np.ones((1, 3, 3, 2))
    counts = window_counts((3, 3), (2, 2), (1, 1), (1, 1, 0, 0))
    assert counts[0, :, :, 0].tolist() == [[1, 2, 2], [2, 4, 4], [2, 4, 4]]
    assert (window_sums(x, (2, 2), (1, 1), (1, 1, 0, 0)) == counts).all()
