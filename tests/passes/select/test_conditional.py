"""The identities that the data criteria rest on (docs/methods.md), on random data and against raw least squares."""

import numpy as np
import pytest

from optimise_onnx.passes.analysis.statistics.substitutes import rows_by_taps
from optimise_onnx.passes.select.conditional import RIDGE, compensated_curve, conditioned, constant_units
from optimise_onnx.passes.select.forward import Partial
from optimise_onnx.passes.select.gram import contribution_gram, weight_norms
from tests.passes.select.support import cases, loss, parts_of, random_reader, reader, samples, taps

SEEDS = range(3)


@pytest.mark.parametrize("seed", SEEDS)
def test_f1_is_least_squares_with_an_intercept(seed: int) -> None:
    """A ridge on the covariance is least squares with extra rows of noise, one an input."""
    rng = np.random.default_rng(seed)
    x, weight, unit = samples(rng, 300, 8), rng.standard_normal((8, 3)), np.repeat(np.arange(4), 2)
    parts = parts_of([reader(weight, unit, x)])
    centred = x - x.mean(0)
    level = RIDGE * centred.var(0).mean()
    rows = np.r_[centred, np.sqrt(len(x) * level) * np.eye(8)]
    for gone in ([0], [1, 3], [0, 1, 2]):
        left = ~np.isin(unit, gone)
        wanted = rows @ weight
        rest = wanted - rows[:, left] @ np.linalg.lstsq(rows[:, left], wanted, rcond=None)[0]
        scale = 1 / (centred @ weight).var(0).sum()
        np.testing.assert_allclose(loss(parts, gone), scale * (rest**2).sum() / len(x), rtol=1e-8)


@pytest.mark.parametrize("seed", SEEDS)
def test_what_always_stays_can_be_conditioned_away(seed: int) -> None:
    rng = np.random.default_rng(seed)
    one = random_reader(rng, taps(5, 2, 4))
    (part,) = parts_of([one])
    assert one.cov is not None
    mean = np.diagonal(one.cov).mean() * (1 + one.ridge)
    total = one.cov + (one.ridge * np.diagonal(one.cov).mean() + RIDGE * mean) * np.eye(len(one.cov))
    scale = 1 / np.vdot(one.weight, one.cov @ one.weight)
    for gone in ([2], [0, 4], [0, 1, 2, 3, 4]):
        left = ~np.isin(one.unit, gone)
        across = total[left] @ one.weight
        explained = np.vdot(across, np.linalg.solve(total[np.ix_(left, left)], across))
        wanted = scale * (np.vdot(one.weight, total @ one.weight) - explained)
        np.testing.assert_allclose(loss([part], gone), wanted, rtol=1e-8)


@pytest.mark.parametrize("seed", SEEDS)
def test_f2_gains_are_differences_of_the_loss(seed: int) -> None:
    rng = np.random.default_rng(seed)
    for readers, (cells, width) in cases(rng):
        parts, units = parts_of(readers), cells * width
        partials, gone = [Partial(part) for part in parts], list(range(units))
        for unit in rng.permutation(units).tolist():
            gains = sum(partial.gains(units) for partial in partials)
            before = loss(parts, gone)
            wanted = [
                before - loss(parts, [u for u in gone if u != unit]) if unit in gone else 0 for unit in range(units)
            ]
            np.testing.assert_allclose(gains, wanted, rtol=1e-8, atol=1e-10)
            for partial in partials:
                partial.take(unit)
            gone.remove(unit)


@pytest.mark.parametrize("seed", SEEDS)
def test_f3_costs_are_differences_of_the_loss(seed: int) -> None:
    for readers, (cells, width) in cases(np.random.default_rng(seed)):
        parts = parts_of(readers)
        costs = np.zeros(cells * width)
        for part in parts:
            inverse = np.linalg.inv(part.covariance)
            for unit in np.unique(part.unit):
                rows = np.flatnonzero(part.unit == unit)
                corner = inverse[np.ix_(rows, rows)]
                costs[unit] += np.trace(part.weight[rows].T @ np.linalg.inv(corner) @ part.weight[rows])
        np.testing.assert_allclose(costs, [loss(parts, [unit]) for unit in range(len(costs))], rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("seed", SEEDS)
def test_f4_the_gram_matrix_is_that_of_contributions(seed: int) -> None:
    rng = np.random.default_rng(seed)
    for readers, (cells, width) in cases(rng):
        parts, units = parts_of(readers), cells * width
        gram = contribution_gram(parts, units)
        gone = rng.random(units) < 0.5
        wanted = sum(np.vdot(w := part.weight * gone[part.unit, None], part.covariance @ w) for part in parts)
        np.testing.assert_allclose(gone @ gram @ gone, wanted, rtol=1e-8)
        norms = [sum((part.weight[part.unit == u] ** 2).sum() for part in parts) ** 0.5 for u in range(units)]
        np.testing.assert_allclose(weight_norms(parts, units), norms, rtol=1e-12)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_curve_is_the_loss_of_every_nested_set(seed: int) -> None:
    rng = np.random.default_rng(seed)
    for readers, form in cases(rng):
        parts = parts_of(readers)
        rounds = rng.permuted(np.arange(form[0] * form[1]).reshape(form), axis=1).T
        wanted = [loss(parts, rounds[:count].ravel()) for count in range(len(rounds) + 1)]
        np.testing.assert_allclose(compensated_curve(parts, rounds), wanted, rtol=1e-8, atol=1e-10)


def test_constant_units_are_constant_in_every_reader() -> None:
    rng = np.random.default_rng(0)
    x, y = samples(rng, 50, 6), samples(rng, 50, 3)
    x[:, :4], y[:, 1] = 1.0, 2.0
    parts = parts_of([reader(np.ones((6, 2)), taps(3, 2), x), reader(np.ones((3, 2)), taps(3, 1), y)])
    assert constant_units(parts, 4).tolist() == [False, True, False, True]


def test_nothing_is_known_without_covariances_or_variance() -> None:
    rng = np.random.default_rng(0)
    full = random_reader(rng, taps(3, 1))
    still = reader(np.ones((3, 2)), taps(3, 1), np.ones((9, 3)))
    assert conditioned([]) == conditioned([still]) == conditioned([full, reader(np.ones((3, 1)), taps(3, 1))]) == []
    assert len(conditioned([full, still])) == 1


def test_rows_are_grouped_by_their_number() -> None:
    found = [(names.tolist(), rows.tolist()) for names, rows in rows_by_taps(np.array([2, -1, 0, 2, 5, 0, 1]))]
    assert found == [([1, 5], [[6], [4]]), ([0, 2], [[2, 5], [0, 3]])]
    assert list(rows_by_taps(np.array([-1]))) == []
