"""The particle filter: draws follow their weights, and what is left is about the best set there is."""

from itertools import combinations

import numpy as np
import pytest

from optimise_onnx.ir.graph import Array
from optimise_onnx.passes.analysis.subsets.evolution import evolved
from optimise_onnx.passes.analysis.subsets.particles import filtered, systematic, weights
from optimise_onnx.passes.select.finalists import Search

from .test_evolution import correlated, left_over

SETS = np.array(list(combinations(range(14), 5)))
STAY = np.array([np.setdiff1d(np.arange(14), each) for each in SETS])


def least_of_all(gram: Array) -> float:
    """What no factor of nine of fourteen units can tell of the sum of all, for the best nine."""
    inner, wanted = gram[STAY[:, :, None], STAY[:, None, :]], gram.sum(1)[STAY]
    told = np.einsum("sk,sk->s", wanted, np.linalg.solve(inner, wanted[:, :, None])[:, :, 0])
    return float(gram.sum() - told.max())


@pytest.mark.parametrize("search", [filtered, evolved])
def test_of_20_seeds_18_at_least_find_the_best_of_all_sets(search: Search) -> None:
    found = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        gram = correlated(rng, 14)
        gone = search(gram, np.zeros(14, int), 5, rng)[0]
        assert gone.sum() == 5
        found += left_over(gram, gone) <= least_of_all(gram) * (1 + 1e-6)
    assert found >= 18


def test_cells_lose_equally_many_and_what_may_not_go_stays() -> None:
    rng, cell_of = np.random.default_rng(0), np.array([0] * 6 + [1] * 6 + [-1])
    gone = filtered(correlated(rng, 13), cell_of, 3, rng)[0]
    assert not gone[12] and np.bincount(cell_of[gone]).tolist() == [3, 3]


def test_draws_are_as_many_as_their_shares_say() -> None:
    share = np.array([0.5, 0.25, 0.125, 0.125, 0, 0, 0, 0])
    assert np.bincount(systematic(share, np.random.default_rng(0)), minlength=8).tolist() == [4, 2, 1, 1, 0, 0, 0, 0]
    close, far = weights(np.array([1.0, 1.5, 3.0]), 1.0), weights(np.array([1.0, 1.5, 3.0]), 0.1)
    assert close.sum() == pytest.approx(1) and close[0] > close[1] > close[2] and far[0] > close[0]


def test_where_all_goes_or_nothing_contributes_there_is_an_answer() -> None:
    rng, cell_of = np.random.default_rng(0), np.zeros(4, int)
    assert filtered(np.eye(4), cell_of, 4, rng)[0].all() and not filtered(np.eye(4), cell_of, 0, rng)[0].any()
    assert filtered(np.zeros((4, 4)), cell_of, 2, rng)[0].sum() == 2
