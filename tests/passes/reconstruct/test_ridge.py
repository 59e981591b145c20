"""Ridge regression from moments against lstsq on the raw samples, and the identities of methods.md#loss and #drift."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from optimise_onnx.ir.errors import NumericalError
from optimise_onnx.passes.reconstruct.ridge import Solution, solve, solve_batched

Floats = NDArray[np.float64]
Moments = tuple[Floats, Floats, Floats, Floats]


def _moments(x: Floats, y: Floats) -> Moments:
    xc, yc = x - x.mean(0), y - y.mean(0)
    return xc.T @ xc / len(x), xc.T @ yc / len(x), x.mean(0), y.mean(0)


def _fit(x: Floats, y: Floats, prior: Floats | None = None, ridge: float = 0.0) -> Solution:
    start = np.zeros((x.shape[1], y.shape[1])) if prior is None else prior
    return solve(*_moments(x, y), start, ridge=ridge)


def _lstsq(x: Floats, y: Floats) -> Floats:
    return np.asarray(np.linalg.lstsq(np.c_[x, np.ones(len(x))], y)[0])


def _stacked(problems: list[Moments]) -> Moments:
    xx, xy, x, y = (np.stack(parts) for parts in zip(*problems, strict=True))
    return xx, xy, x, y


def _features(rng: np.random.Generator, samples: int, inputs: int) -> np.ndarray:
    return np.maximum(rng.standard_normal((samples, inputs)) @ rng.standard_normal((inputs, inputs)) + 1, 0)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**31), inputs=st.integers(1, 6), outputs=st.integers(1, 4))
def test_without_ridge_it_is_least_squares_with_intercept(seed: int, inputs: int, outputs: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((60, inputs)) + 5
    y = rng.standard_normal((60, outputs)) - 3
    found = _fit(x, y, rng.standard_normal((inputs, outputs)))
    wanted = _lstsq(x, y)
    np.testing.assert_allclose(found.weight, wanted[:-1], atol=1e-10)
    np.testing.assert_allclose(found.bias, wanted[-1], atol=1e-9)
    error = ((np.c_[x, np.ones(60)] @ wanted - y) ** 2).mean(0)
    np.testing.assert_allclose(y.var(0) - found.explained, error, atol=1e-12)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**31), ridge=st.sampled_from([1e-6, 1e-3, 0.3]))
def test_with_ridge_it_is_least_squares_with_extra_rows(seed: int, ridge: float) -> None:
    rng = np.random.default_rng(seed)
    x, y, prior = rng.standard_normal((50, 4)), rng.standard_normal((50, 2)), rng.standard_normal((4, 2))
    found = _fit(x, y, prior, ridge)
    lam = ridge * x.var(0).mean()
    np.testing.assert_allclose(found.ridge, lam)
    pull = np.sqrt(50 * lam) * np.eye(4)
    wanted = np.linalg.lstsq(np.r_[x - x.mean(0), pull], np.r_[y - y.mean(0), pull @ prior])[0]
    np.testing.assert_allclose(found.weight, wanted, atol=1e-10)
    np.testing.assert_allclose(found.bias, y.mean(0) - x.mean(0) @ wanted, atol=1e-10)


def test_f1_compensation_needs_only_the_covariance() -> None:
    rng = np.random.default_rng(1)
    x, weight, bias = _features(rng, 400, 8), rng.standard_normal((8, 3)), rng.standard_normal(3)
    y, keep = x @ weight + bias, [0, 2, 3, 6]
    sigma, _, mean, _ = _moments(x, y)
    inner = np.ix_(keep, keep)
    found = solve(sigma[inner], sigma[keep] @ weight, mean[keep], mean @ weight + bias, weight[keep], ridge=0.0)
    wanted = _lstsq(x[:, keep], y)
    np.testing.assert_allclose(found.weight, wanted[:-1], atol=1e-11)
    np.testing.assert_allclose(found.bias, wanted[-1], atol=1e-10)
    total = np.trace(weight.T @ sigma @ weight)
    left = sigma[keep] @ weight
    loss = total - np.trace(left.T @ np.linalg.solve(sigma[inner], left))
    assert total - found.explained.sum() == pytest.approx(loss, rel=1e-10)
    error = ((x[:, keep] @ found.weight + found.bias - y) ** 2).mean(0).sum()
    assert error == pytest.approx(loss, rel=1e-10)


def test_f5_corrects_the_error_of_earlier_layers() -> None:
    rng = np.random.default_rng(2)
    x, weight, bias = _features(rng, 400, 8), rng.standard_normal((8, 3)), rng.standard_normal(3)
    pruned = (x + 0.3 * rng.standard_normal(x.shape))[:, :5]
    y = x @ weight + bias
    found = _fit(pruned, y)
    xc, pc = x - x.mean(0), pruned - pruned.mean(0)
    wanted = np.linalg.solve(pc.T @ pc, pc.T @ xc @ weight)
    np.testing.assert_allclose(found.weight, wanted, atol=1e-11)
    np.testing.assert_allclose(found.bias, x.mean(0) @ weight + bias - pruned.mean(0) @ wanted, atol=1e-11)
    np.testing.assert_allclose(found.weight, _lstsq(pruned, y)[:-1], atol=1e-10)


def test_nothing_to_learn_keeps_the_prior() -> None:
    prior = np.arange(6.0).reshape(3, 2)
    found = _fit(np.full((10, 3), 2.0), np.full((10, 2), 7.0), prior, ridge=1e-6)
    np.testing.assert_array_equal(found.weight, prior)
    np.testing.assert_allclose(found.bias, 7 - 2 * prior.sum(0))


@pytest.mark.parametrize("ridge", [0.0, 1e-8, 1e-4])
def test_degenerate_samples_give_finite_weights_that_fit(ridge: float) -> None:
    rng = np.random.default_rng(3)
    x = _features(rng, 6, 8)
    x[:, 1], x[:, 2] = 0, x[:, 3]
    y = rng.standard_normal((6, 2))
    found = _fit(x, y, ridge=ridge)
    assert np.isfinite(found.weight).all()
    assert found.ridge >= ridge * x.var(0).mean()
    assert ((x @ found.weight + found.bias - y) ** 2).mean() < 1e-3
    assert (found.explained <= y.var(0) + 1e-9).all()


def test_hopeless_or_broken_statistics_are_refused() -> None:
    args = np.ones((2, 1)), np.zeros(2), np.zeros(1), np.zeros((2, 1))
    batched = np.ones((1, 2, 1)), np.zeros((1, 2)), np.zeros((1, 1)), np.zeros((1, 2, 1))
    with pytest.raises(NumericalError, match="badly conditioned"):
        solve(np.diag([1.0, -9.0]), *args, ridge=0.0)
    with pytest.raises(NumericalError, match="badly conditioned"):
        solve_batched(np.diag([1.0, -9.0])[None], *batched, ridge=0.0)
    with pytest.raises(NumericalError, match="NaN or Inf"):
        solve(np.full((2, 2), np.nan), *args, ridge=0.0)
    with pytest.raises(NumericalError, match="NaN or Inf"):
        solve_batched(np.full((1, 2, 2), np.inf), *batched, ridge=0.0)
    with pytest.raises(NumericalError, match="reconstructed"):
        solve(np.eye(2), np.full((2, 1), np.nan), *args[1:], ridge=0.0)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**31), ridge=st.sampled_from([0.0, 1e-4, 1e-1]), outputs=st.integers(1, 3))
def test_batched_is_solve_for_each(seed: int, ridge: float, outputs: int) -> None:
    rng = np.random.default_rng(seed)
    problems = [_moments(rng.standard_normal((40, 5)) + 2, rng.standard_normal((40, outputs))) for _ in range(4)]
    prior = rng.standard_normal((4, 5, outputs))
    found = solve_batched(*_stacked(problems), prior, ridge=ridge)
    for index, problem in enumerate(problems):
        single = solve(*problem, prior[index], ridge=ridge)
        np.testing.assert_allclose(found.weight[index], single.weight, atol=1e-10)
        np.testing.assert_allclose(found.bias[index], single.bias, atol=1e-10)
        np.testing.assert_allclose(found.explained[index], single.explained, atol=1e-10)


@pytest.mark.parametrize("ridge", [0.0, 1e-4])
def test_batched_survives_dead_and_duplicated_rows(ridge: float) -> None:
    rng = np.random.default_rng(4)
    x = _features(rng, 30, 4)
    twin, dead = x.copy(), np.full_like(x, 3.0)
    twin[:, 1] = twin[:, 0]
    y = rng.standard_normal((30, 1))
    problems = [_moments(each, y) for each in (x, twin, dead)]
    found = solve_batched(*_stacked(problems), np.ones((3, 4, 1)), ridge=ridge)
    assert np.isfinite(found.weight).all()
    np.testing.assert_array_equal(found.weight[2], 1.0)
    error = ((twin @ found.weight[1] + found.bias[1] - y) ** 2).mean()
    best = ((np.c_[twin, np.ones(30)] @ _lstsq(twin, y) - y) ** 2).mean()
    assert error == pytest.approx(best, rel=1e-2)
