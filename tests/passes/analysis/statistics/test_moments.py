"""Streaming moments and im2col against slow, obvious versions."""

import itertools
from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import correlate

from optimise_onnx.ir.errors import NumericalError
from optimise_onnx.passes.analysis.statistics.moments import Moments, conv_patches, factor, sample_positions


def _stream(x: np.ndarray, y: np.ndarray, cuts: list[int]) -> Moments:
    moments = Moments(x.shape[1], y.shape[1])
    for part_x, part_y in zip(np.split(x, cuts), np.split(y, cuts), strict=True):
        moments.update(part_x, part_y)
    return moments


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    samples=st.integers(1, 40),
    outputs=st.integers(0, 3),
    offset=st.sampled_from([0.0, 1e3, -1e6]),
)
def test_moments_equal_numpy_however_the_stream_is_cut(seed: int, samples: int, outputs: int, offset: float) -> None:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((samples, 4)) + offset
    y = rng.standard_normal((samples, outputs)) - offset
    moments = _stream(x, y, sorted(rng.integers(0, samples + 1, size=3).tolist()))
    xc, yc = x - x.mean(0), y - y.mean(0)
    assert moments.count == samples
    np.testing.assert_allclose(moments.mean_x, x.mean(0), rtol=1e-14, atol=1e-14)
    np.testing.assert_allclose(moments.mean_y, y.mean(0), rtol=1e-14, atol=1e-14)
    tolerance = 1e-12 + 1e-15 * abs(offset) * 10
    np.testing.assert_allclose(moments.cov_xx, xc.T @ xc / samples, atol=tolerance)
    np.testing.assert_allclose(moments.cov_xy, xc.T @ yc / samples, atol=tolerance)
    np.testing.assert_allclose(moments.var_y, (yc**2).mean(0), atol=tolerance)


def test_a_row_that_counts_twice_is_two_rows() -> None:
    rng = np.random.default_rng(0)
    x, y, times = rng.standard_normal((30, 4)) + 100, rng.standard_normal((30, 2)), rng.integers(1, 5, 30)
    found, wanted = Moments(4, 2), Moments(4, 2)
    for part in (slice(0, 7), slice(7, 30)):
        found.update(x[part], y[part], times[part].astype(float))
    wanted.update(np.repeat(x, times, 0), np.repeat(y, times, 0))
    assert found.count == wanted.count == times.sum()
    for one, other in ((found.mean_x, wanted.mean_x), (found.cov_xx, wanted.cov_xx), (found.cov_xy, wanted.cov_xy)):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(found.var_y, wanted.var_y, rtol=1e-12)


def test_a_drifting_mean_costs_no_digits() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((300, 3)) + np.repeat([0.0, 1e7, 1e8], 100)[:, None]
    moments = _stream(x, x[:, :1], [100, 200])
    np.testing.assert_allclose(moments.cov_xx, np.cov(x.T, bias=True), rtol=1e-12)


def test_float32_batches_are_accumulated_in_float64() -> None:
    x = (np.random.default_rng(0).standard_normal((1000, 2)) + 4096).astype(np.float32)
    moments = _stream(x, x, [100, 350])
    np.testing.assert_allclose(moments.cov_xx, np.cov(x.T.astype(np.float64), bias=True), rtol=1e-12)
    assert moments.cov_xx.dtype == np.float64


def test_single_precision_keeps_single_digits() -> None:
    rng = np.random.default_rng(0)
    x = (rng.standard_normal((3000, 5)) @ rng.standard_normal((5, 5)) + 3).astype(np.float32)
    moments = Moments(5, 2, single=True)
    for part in np.array_split(x, 7):
        moments.update(part, part[:, :2])
    wanted = np.cov(x.T.astype(np.float64), bias=True)
    np.testing.assert_allclose(moments.cov_xx, wanted, atol=1e-5 * wanted.max())
    np.testing.assert_allclose(moments.cov_xy, wanted[:, :2], atol=1e-5 * wanted.max())
    assert moments.cov_xx.dtype == np.float64


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_bad_values_are_refused_and_leave_no_trace(bad: float) -> None:
    moments = Moments(2, 1)
    moments.update(np.ones((2, 2)), np.ones((2, 1)))
    broken = np.array([[1.0, bad]])
    with pytest.raises(NumericalError, match="NaN or Inf in the inputs"):
        moments.update(broken, np.ones((1, 1)))
    with pytest.raises(NumericalError, match="NaN or Inf in the outputs"):
        moments.update(np.ones((1, 2)), broken[:, 1:])
    assert moments.count == 2
    assert not moments.cov_xx.any()


def test_overflow_wrong_shapes_and_an_empty_stream_are_refused() -> None:
    with pytest.raises(NumericalError, match="overflow"), np.errstate(over="ignore"):
        Moments(1, 0).update(np.array([[1e200], [-1e200]]), np.zeros((2, 0)))
    with pytest.raises(ValueError, match="expected"):
        Moments(2, 1).update(np.ones((3, 2)), np.ones((2, 1)))
    empty = Moments(2, 1)
    empty.update(np.ones((0, 2)), np.ones((0, 1)))
    with pytest.raises(NumericalError, match="no samples"):
        _ = empty.cov_xx


def test_factor_adds_only_the_ridge_it_needs() -> None:
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((50, 6))
    good = rows.T @ rows / 50
    lower, lam = factor(good, 0.0)
    assert lam == 0
    np.testing.assert_allclose(lower @ lower.T, good, atol=1e-14)
    _, lam = factor(good, 1e-3)
    assert lam == pytest.approx(1e-3 * np.trace(good) / 6)
    rows[:, 5] = rows[:, 4]
    _, lam = factor(rows.T @ rows / 50, 0.0)
    assert 0 < lam < 1e-8
    assert factor(np.zeros((3, 3)), 1e-4)[1] == 1e-4
    assert factor(2 * np.eye(3), 9.0)[1] == 18  # asked for, so not refused


@pytest.mark.parametrize("order", ["C", "F"])
def test_factor_leaves_the_covariance_alone(order: Literal["C", "F"]) -> None:
    rows = np.random.default_rng(0).standard_normal((3, 6))
    given = np.array(rows.T @ rows, order=order)
    before = given.copy()
    lower, lam = factor(given, 0.0)
    np.testing.assert_array_equal(given, before)
    np.testing.assert_allclose(lower @ lower.T, before + lam * np.eye(6), atol=1e-9)


def test_factor_gives_up_with_a_clear_line() -> None:
    with pytest.raises(NumericalError, match="badly conditioned"):
        factor(np.diag([1.0, -5.0]), 0.0)
    with pytest.raises(NumericalError, match="NaN or Inf"):
        factor(np.array([[1.0, np.nan], [np.nan, 1.0]]), 1.0)


def _slow_patches(
    x: np.ndarray, kernel: list[int], strides: list[int], begin: list[int], end: list[int], dilations: list[int]
) -> tuple[np.ndarray, int]:
    """Every patch by loops over images, positions, channels and taps."""
    x = np.pad(x, [(0, 0), (0, 0), *zip(begin, end, strict=True)])
    dims = range(len(kernel))
    out = [(x.shape[2 + a] - (kernel[a] - 1) * dilations[a] - 1) // strides[a] + 1 for a in dims]
    rows = []
    for image, place in itertools.product(range(len(x)), itertools.product(*map(range, out))):
        row = []
        for channel, tap in itertools.product(range(x.shape[1]), itertools.product(*map(range, kernel))):
            row.append(x[(image, channel, *(place[a] * strides[a] + tap[a] * dilations[a] for a in dims))])
        rows.append(row)
    return np.array(rows), int(np.prod(out))


@settings(max_examples=40, deadline=None)
@given(data=st.data(), dims=st.integers(1, 3), seed=st.integers(0, 2**31))
def test_patches_equal_loops(data: st.DataObject, dims: int, seed: int) -> None:
    def draw(low: int, high: int) -> list[int]:
        return data.draw(st.lists(st.integers(low, high), min_size=dims, max_size=dims))

    rng = np.random.default_rng(seed)
    kernel, strides, dilations, begin, end = draw(1, 3), draw(1, 3), draw(1, 2), draw(0, 2), draw(0, 2)
    x = rng.standard_normal((2, 2, *(rng.integers(5, 7, size=dims))))
    slow, places = _slow_patches(x, kernel, strides, begin, end, dilations)
    np.testing.assert_array_equal(conv_patches(x, kernel, strides, begin, end, dilations), slow)
    shared = rng.integers(0, places, size=3)
    by_image = slow.reshape(2, places, -1)
    fast = conv_patches(x, kernel, strides, begin, end, dilations, shared)
    np.testing.assert_array_equal(fast, by_image[:, shared].reshape(6, -1))
    own = rng.integers(0, places, size=(2, 3))
    fast = conv_patches(x, kernel, strides, begin, end, dilations, own)
    np.testing.assert_array_equal(fast, np.take_along_axis(by_image, own[:, :, None], 1).reshape(6, -1))


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_patches_times_weights_are_a_convolution(dims: int) -> None:
    rng = np.random.default_rng(dims)
    x = rng.standard_normal((2, 3, *[6] * dims))
    weight = rng.standard_normal((4, 3, *[3] * dims))
    rows = conv_patches(x, [3] * dims, [1] * dims, [0] * dims, [0] * dims, [1] * dims)
    direct = np.array([[correlate(image, kernel, mode="valid")[0] for kernel in weight] for image in x])
    fast = (rows @ weight.reshape(4, -1).T).reshape(2, -1, 4).transpose(0, 2, 1).reshape(direct.shape)
    np.testing.assert_allclose(fast, direct, atol=1e-12)


def test_patches_refuse_what_does_not_fit() -> None:
    x = np.zeros((1, 1, 4), np.float32)
    assert conv_patches(x, [2], [1], [0], [0], [1]).dtype == np.float32
    with pytest.raises(ValueError, match="does not fit"):
        conv_patches(x, [3], [1], [0], [0], [2])
    with pytest.raises(ValueError, match="out of bounds"):
        conv_patches(x, [2], [1], [0], [0], [1], np.array([3]))


def test_sampled_positions_are_different_sorted_uniform_and_repeatable() -> None:
    drawn = sample_positions(np.random.default_rng(0), 2000, 7, 3)
    again = sample_positions(np.random.default_rng(0), 2000, 7, 3)
    assert drawn is not None
    assert again is not None
    np.testing.assert_array_equal(drawn, again)
    assert drawn.shape == (2000, 3)
    assert (np.diff(drawn, axis=1) > 0).all()
    np.testing.assert_allclose(np.bincount(drawn.ravel()) / 6000, np.full(7, 1 / 7), atol=0.02)
    assert sample_positions(np.random.default_rng(0), 5, 7, 7) is None
    with pytest.raises(ValueError, match="at least one"):
        sample_positions(np.random.default_rng(0), 5, 7, 0)
