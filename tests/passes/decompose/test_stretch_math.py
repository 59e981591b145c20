"""Alternating least squares from moments, against slow and obvious versions."""

import numpy as np
import pytest
from scipy.optimize import minimize

from optimise_onnx.ir.errors import NumericalError
from optimise_onnx.passes.decompose.depthwise import rank_one
from optimise_onnx.passes.decompose.low_rank_math import regression
from optimise_onnx.passes.decompose.pairs import Pair, fit_pairs
from optimise_onnx.passes.decompose.stretch_math import Stretched, conjugate_gradients
from optimise_onnx.passes.decompose.tap_split import TapSplit
from tests.passes.decompose.cases import Array, loss, measured

SPLITS = [TapSplit((3, 3), axes) for axes in ((0,), (1,), (0, 1), ())]


def stretched(split: TapSplit, cov: Array, cross: Array) -> Stretched:
    """Lay one group's statistics out."""
    weight = regression(cov[0], cross[0])[None]
    return Stretched(split.square(cov)[0], split.rows(cross)[0], split.rows(weight)[0])


def weight_of(channels: int, outputs: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal((1, 9 * channels, outputs))


def slow(split: TapSplit, rank: int, cov: Array, cross: Array, weight: Array, start: Array) -> float:
    """Least loss that a generic optimiser finds by gradients, from ``start``: both factors."""
    late = split.taps()[1]
    inputs, outputs = weight.shape[1] // late, weight.shape[2]
    energy = float(np.vdot(weight, cross))

    def value(flat: Array) -> tuple[float, Array]:
        first = flat[: inputs * rank].reshape(1, inputs, rank)
        second = flat[inputs * rank :].reshape(1, rank, late, outputs)
        off = split.matrix(first, second) - weight
        slope = split.rows(2 * cov @ off / energy)[0].reshape(inputs, -1)
        flat_second = second.reshape(rank, -1)
        steps = [(slope @ flat_second.T).ravel(), (first[0].T @ slope).ravel()]
        return float(np.vdot(off, cov @ off)) / energy, np.concatenate(steps)

    options = {"maxiter": 3000, "ftol": 1e-12, "gtol": 1e-9}
    return float(minimize(value, start, jac=True, method="L-BFGS-B", options=options).fun)


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_as_good_as_a_generic_optimiser(split: TapSplit, rank: int) -> None:
    weight = weight_of(3, 4)
    cov, cross = measured(weight, decay=0.5)
    known = stretched(split, cov, cross)
    pair = known.start(rank)
    for _ in range(50):
        pair = known.sweep(pair)
    fitted = Pair(split, rank).fit(cov, cross)
    reached = loss(split.matrix(pair.first[None], pair.second[None]), cov, cross, weight)
    start = np.concatenate([fitted.first.ravel(), fitted.second.ravel()])
    best = slow(split, rank, cov, cross, weight, start)
    assert reached <= 1.01 * best
    assert loss(fitted.matrix, cov, cross, weight) <= 1.15 * best


@pytest.mark.parametrize("split", SPLITS[:2] + SPLITS[3:])
def test_every_sweep_lowers_the_loss(split: TapSplit) -> None:
    weight = weight_of(4, 6)
    cov, cross = measured(weight)
    known = stretched(split, cov, cross)
    pair = known.start(3)
    losses = []
    for _ in range(12):
        losses.append(loss(split.matrix(pair.first[None], pair.second[None]), cov, cross, weight))
        assert losses[-1] == pytest.approx(pair.loss / np.vdot(weight, cross), rel=1e-6)
        pair = known.sweep(pair)
    assert (np.diff(losses) <= 0).all()
    assert losses[3] < losses[0]


@pytest.mark.parametrize("split", SPLITS)
def test_middle_channels_are_uncorrelated_and_by_energy(split: TapSplit) -> None:
    weight = weight_of(4, 6)
    cov, cross = measured(weight)
    known = stretched(split, cov, cross)
    pair = known.fit(4)
    metric = np.trace(split.square(cov)[0], axis1=1, axis2=2)
    middle = pair.first.T @ metric @ pair.first
    energies = np.diagonal(middle)
    np.testing.assert_allclose(middle, np.diag(energies), atol=1e-9 * energies[0])
    assert (np.diff(energies) <= 0).all()
    rows = pair.second.reshape(4, -1)
    np.testing.assert_allclose(rows @ rows.T, np.eye(4), atol=1e-9)


@pytest.mark.parametrize("split", SPLITS)
def test_laying_out_and_multiplying_out(split: TapSplit) -> None:
    rng = np.random.default_rng(0)
    early, late = split.taps()
    first, second = rng.standard_normal((2, 4 * early, 5)), rng.standard_normal((2, 5, late, 3))
    product = split.matrix(first, second)
    assert product.shape == (2, 36, 3)
    np.testing.assert_allclose(split.rows(product), np.einsum("gar,grjm->gajm", first, second))
    values = rng.standard_normal((2, 36))
    laid = split.rows(values[:, :, None])[..., 0]
    squares = split.square(values[:, :, None] * values[:, None, :])
    np.testing.assert_allclose(squares, np.einsum("gai,gbj->gaijb", laid, laid))


def _degenerate(kind: str) -> Array:
    rows = np.random.default_rng(0).standard_normal((60, 36))
    match kind:
        case "dead":
            rows[:, 9:18] = 0
        case "duplicate":
            rows[:, 9:18] = rows[:, :9]
        case "few":
            rows = rows[:5]
        case "one":
            rows = rows[:1] - rows[:1]
        case "uneven":
            rows = rows * np.geomspace(1e-6, 1e6, 36)
    return np.asarray(rows.T @ rows / len(rows))[None]


@pytest.mark.parametrize("kind", ["dead", "duplicate", "few", "one", "uneven"])
def test_degenerate_statistics_give_finite_weights(kind: str) -> None:
    cov = _degenerate(kind)
    weight = weight_of(4, 6)
    cross = cov @ weight
    pairs = [Pair(split, rank) for split in SPLITS for rank in (1, 3, 4)]
    for fitted in fit_pairs(pairs, cov, cross):
        assert all(np.isfinite(array).all() for array in fitted.weights())
        off = fitted.matrix - weight
        assert np.vdot(off, cov @ off) <= np.vdot(weight, cross) * (1 + 1e-9)


def test_not_a_number_is_refused() -> None:
    cov, cross = measured(weight_of(2, 3))
    for broken in ((cov * np.nan, cross), (cov, cross * np.nan)):
        with pytest.raises(NumericalError):
            Pair(SPLITS[0], 1).fit(*broken)
    with pytest.raises(NumericalError):
        rank_one(np.full((1, 2, 2, 2, 2), np.nan), np.ones((1, 2, 2)))


def test_conjugate_gradients_solve() -> None:
    rng = np.random.default_rng(0)
    root = rng.standard_normal((6, 6))
    matrix = root @ root.T + np.eye(6)
    wanted = rng.standard_normal((6, 2))
    found = np.zeros((6, 2))
    for _ in range(30):
        found = conjugate_gradients(lambda x: matrix @ x, wanted, found, lambda rest: rest)
    np.testing.assert_allclose(found, np.linalg.solve(matrix, wanted), rtol=1e-6)


def test_depthwise_equals_a_search_in_each_channel() -> None:
    weight = np.random.default_rng(3).standard_normal((5, 9, 1))
    cov, cross = measured(weight, decay=0.3)
    (fitted,) = fit_pairs([Pair(SPLITS[0], 1)], cov, cross)
    for channel in range(5):
        part = slice(channel, channel + 1)
        start = np.concatenate([fitted.first[channel].ravel(), fitted.second[channel].ravel()])
        best = slow(SPLITS[0], 1, cov[part], cross[part], weight[part], start)
        left, _, right = np.linalg.svd(weight[channel].reshape(3, 3))
        cut = np.linalg.svd(weight[channel].reshape(3, 3))[1][0] * np.outer(left[:, 0], right[0])
        reached = loss(fitted.matrix[part], cov[part], cross[part], weight[part])
        assert reached <= loss(cut.reshape(1, 9, 1), cov[part], cross[part], weight[part]) + 1e-12
        assert reached <= 1.01 * best


def test_a_dead_depthwise_channel() -> None:
    weight = np.random.default_rng(3).standard_normal((3, 9, 1))
    cov, cross = measured(weight)
    cov[1], cross[1] = 0, 0
    (fitted,) = fit_pairs([Pair(SPLITS[0], 1)], cov, cross)
    assert np.isfinite(fitted.matrix).all()
    assert not fitted.matrix[1].any()
