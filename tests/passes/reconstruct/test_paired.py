"""The choice of a ridge against lstsq on the rows themselves, and moments gathered from few rows at a time."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from optimise_onnx.passes.analysis.statistics.moments import Moments
from optimise_onnx.passes.reconstruct import paired
from optimise_onnx.passes.reconstruct.paired import RIDGES, Joint, PairedMoments, Trial, fitted, joint, lowest

Floats = NDArray[np.float64]


def rows(seed: int, count: int, inputs: int, outputs: int) -> tuple[Floats, Floats]:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((count, inputs)) @ rng.standard_normal((inputs, inputs)) + 1
    return x, np.maximum(x @ rng.standard_normal((inputs, outputs)), 0) + rng.standard_normal((count, outputs))


def moments_of(x: Floats, y: Floats) -> Joint:
    found = Moments(x.shape[1], y.shape[1])
    found.update(x, y)
    return joint(found)


def slow(train: tuple[Floats, Floats], test: tuple[Floats, Floats], prior: Floats, ridge: float) -> float:
    """Fit by lstsq with extra rows for the ridge; return the error on the other rows."""
    (x, y), mean, wanted = train, train[0].mean(0), train[1].mean(0)
    pull = np.sqrt(len(x) * ridge * x.var(0).mean()) * np.eye(x.shape[1])
    weight = np.linalg.lstsq(np.r_[x - mean, pull], np.r_[y - wanted, pull @ prior])[0]
    return float((((test[0] - mean) @ weight + wanted - test[1]) ** 2).mean(0).sum())


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**31), ridge=st.sampled_from(RIDGES), single=st.booleans())
def test_error_on_the_other_half(seed: int, ridge: float, single: bool) -> None:
    train, test = rows(seed, 40, 5, 3), rows(seed + 1, 30, 5, 3)
    prior = np.random.default_rng(seed).standard_normal((5, 3))
    kind = np.float32 if single else np.float64
    halves = (moments_of(*half).restricted(slice(None), kind) for half in (train, test))
    found = Trial(*halves, prior)
    assert found.error(ridge) == pytest.approx(slow(train, test, prior, ridge), rel=1e-2 if single else 1e-6)
    weight, (x, y) = prior, train
    wanted = (((test[0] - x.mean(0)) @ weight + y.mean(0) - test[1]) ** 2).mean(0).sum()
    assert found.error_of_prior() == pytest.approx(wanted, rel=1e-2 if single else 1e-8)


def test_too_small_a_ridge_is_never_best() -> None:
    x, y = rows(0, 20, 4, 2)
    broken = moments_of(x, y)
    broken = Joint(broken.count, broken.x, broken.y, broken.xx - 2 * np.eye(4) * broken.xx.max(), broken.xy, broken.yy)
    assert Trial(broken, broken, np.zeros((4, 2))).error(1e-4) == np.inf


@pytest.mark.parametrize("wide", [False, True])
def test_the_best_ridge_of_all_is_found(wide: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paired, "_WIDE", 0 if wide else 1500)
    for seed in range(8):
        x, y = rows(seed, 60, 12, 3)
        a, b = (x[:30], y[:30]), (x[30:], y[30:])
        prior = 0.1 * np.random.default_rng(seed).standard_normal((12, 3))
        turns = [(a, b)] if wide else [(a, b), (b, a)]
        errors = [sum(slow(*turn, prior, ridge) for turn in turns) for ridge in RIDGES]
        _, _, ridge = fitted([moments_of(*a), moments_of(*b)], prior)
        assert ridge == RIDGES[int(np.argmin(errors))] / 2


def test_a_prior_that_predicts_best_is_kept() -> None:
    x, _ = rows(0, 30, 12, 3)
    rng = np.random.default_rng(0)
    prior = rng.standard_normal((12, 3))
    y = x @ prior + 4 + 3 * rng.standard_normal((30, 3))
    weight, bias, ridge = fitted([moments_of(x[:15], y[:15]), moments_of(x[15:], y[15:])], prior)
    assert ridge == 1.0
    np.testing.assert_array_equal(weight, prior)
    np.testing.assert_allclose(bias, y.mean(0) - x.mean(0) @ prior)


@given(scores=st.lists(st.integers(0, 5), min_size=1, max_size=9))
def test_downhill_ends_where_both_neighbours_are_no_lower(scores: list[int]) -> None:
    place, least = lowest(lambda at: float(scores[at]), len(scores))
    assert least == scores[place] <= scores[len(scores) // 2]
    assert all(scores[at] >= least for at in (place - 1, place + 1) if 0 <= at < len(scores))


@pytest.mark.parametrize("images", [1, 2, 5])
def test_rows_that_wait_are_counted(images: int) -> None:
    x, y = (values.astype(np.float32) for values in rows(3, 60 * images, 4, 2))
    found, parts = PairedMoments(1, 4, 2), np.split(np.arange(len(x)), 60)
    for part in parts:
        found.update(x[None, part], y[None, part], images)
    whole, wanted = found.whole(), moments_of(x.astype(np.float64), y.astype(np.float64))
    assert whole.count == wanted.count
    np.testing.assert_allclose(whole.xx, wanted.xx, atol=1e-4 * wanted.xx.max())
    np.testing.assert_allclose(whole.xy, wanted.xy, atol=1e-4 * np.abs(wanted.xy).max())
