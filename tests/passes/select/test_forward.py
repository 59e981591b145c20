"""Forward selection against slow greedy versions, raw QR with pivoting, and every subset."""

import itertools
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import pytest
from scipy.linalg import qr

from optimise_onnx.passes.select.compensation import compensation
from optimise_onnx.passes.select.conditional import Part
from optimise_onnx.passes.select.gram import contribution_gram
from optimise_onnx.passes.select.interpolative import interpolative
from optimise_onnx.passes.select.pivoted_qr import pivoted_qr, pivots
from tests.passes.select.support import Array, cases, loss, parts_of, random_reader, reader, samples, taps

SEEDS = range(4)
RNG = np.random.default_rng(0)


def slow_forward(form: tuple[int, int], score: Callable[[list[int], int], float]) -> Array:
    """In each round add one unit of every cell, the one with the highest score; the last one added goes first."""
    cells, width = form
    chosen: list[int] = []
    for _ in range(width):
        open_cells = set(range(cells))
        while open_cells:
            left = [u for u in range(cells * width) if u not in chosen and u // width in open_cells]
            chosen.append(max(left, key=lambda unit: score(chosen, unit)))
            open_cells.remove(chosen[-1] // width)
    return np.array(chosen[::-1]).reshape(width, cells)


def unexplained(parts: Sequence[Part], kept: list[int], unit: int) -> float:
    """Trace of a unit's covariance given others, each part relative to its own trace."""
    total = 0.0
    for part in parts:
        rows, given = np.flatnonzero(part.unit == unit), np.flatnonzero(np.isin(part.unit, kept))
        cov = part.covariance
        solved = np.linalg.solve(cov[np.ix_(given, given)], cov[np.ix_(given, rows)])
        total += np.trace(cov[np.ix_(rows, rows)] - cov[np.ix_(rows, given)] @ solved) / np.trace(cov)
    return total


@pytest.mark.parametrize("seed", SEEDS)
def test_compensation_is_slow_greedy(seed: int) -> None:
    for readers, form in cases(np.random.default_rng(seed)):
        parts, everything = parts_of(readers), range(form[0] * form[1])

        def score(kept: list[int], unit: int, parts: list[Part] = parts, every: range = everything) -> float:
            return -loss(parts, [other for other in every if other not in (*kept, unit)])

        wanted = slow_forward(form, score)
        np.testing.assert_array_equal(compensation(readers, form, RNG)[0], wanted)


@pytest.mark.parametrize("seed", SEEDS)
def test_interpolative_is_slow_greedy(seed: int) -> None:
    for readers, form in cases(np.random.default_rng(seed)):
        parts = parts_of(readers)
        wanted = slow_forward(form, partial(unexplained, parts))
        np.testing.assert_array_equal(interpolative(readers, form, RNG)[0], wanted)


def test_interpolative_ignores_weights() -> None:
    rng = np.random.default_rng(0)
    x, unit = samples(rng, 200, 12), taps(6, 2)
    found = [interpolative([reader(rng.standard_normal((12, 3)), unit, x)], (1, 6), RNG)[0] for _ in range(2)]
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize("seed", SEEDS)
def test_pivots_are_those_of_qr_on_the_contributions(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, weight = samples(rng, 100, 12), rng.standard_normal((6, 2, 3))
    contributions = np.einsum("ncr,crm->nmc", (x - x.mean(0)).reshape(-1, 6, 2), weight).reshape(-1, 6)
    order = qr(contributions, mode="r", pivoting=True)[1]
    gram = contributions.T @ contributions
    np.testing.assert_array_equal(pivots(gram, (1, 6)).ravel()[::-1], order)
    np.testing.assert_allclose(
        len(x) * np.cov(contributions.reshape(100, 3, 6).sum(2).T, bias=True).trace(), gram.sum()
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_pivoted_qr_takes_one_pivot_of_each_cell(seed: int) -> None:
    for readers, form in cases(np.random.default_rng(seed)):
        gram = contribution_gram(parts_of(readers), form[0] * form[1])

        def left(kept: list[int], unit: int, gram: Array = gram) -> float:
            solved = np.linalg.solve(gram[np.ix_(kept, kept)], gram[kept, unit])
            return float(gram[unit, unit] - gram[unit, kept] @ solved)

        np.testing.assert_array_equal(pivoted_qr(readers, form, RNG)[0], slow_forward(form, left))


def test_pivots_of_a_singular_gram_matrix() -> None:
    rows = np.random.default_rng(0).standard_normal((6, 3))
    rows[2] = 0
    order = pivots(rows @ rows.T, (1, 6)).ravel().tolist()
    assert sorted(order) == list(range(6)) and order[0] == 2
    assert np.linalg.matrix_rank(rows[order[3:]]) == 3
    assert pivots(np.zeros((3, 3)), (1, 3)).ravel().tolist() == [2, 1, 0]


@pytest.mark.parametrize("seed", range(6))
def test_greedy_is_near_the_best_subset(seed: int) -> None:
    rng = np.random.default_rng(seed)
    readers = [random_reader(rng, taps(7, 2)), random_reader(rng, taps(7, 1), 6)]
    parts = parts_of(readers)
    curves = {f: f(readers, (1, 7), RNG)[1] for f in (compensation, interpolative, pivoted_qr)}
    for count in range(1, 7):
        best = min(loss(parts, subset) for subset in itertools.combinations(range(7), count))
        assert best * (1 - 1e-9) <= curves[compensation][count] <= 1.4 * best
        assert max(curves[interpolative][count], curves[pivoted_qr][count]) <= 4 * best


def test_constant_channels_go_first() -> None:
    rng = np.random.default_rng(0)
    x = samples(rng, 100, 6)
    x[:, [1, 4]] = 3.0
    heavy = np.where(np.isin(np.arange(6), [1, 4]), 100.0, 1.0)[:, None] * rng.standard_normal((6, 2))
    for criterion in (compensation, interpolative):
        order, curve = criterion([reader(heavy, np.arange(6), x, 1e-2)], (1, 6), RNG)
        assert order[:2].ravel().tolist() == [4, 1]
        assert np.isfinite(curve).all()
