"""The genetic search: children are sets of the right size, and what evolves is about the best set there is."""

from itertools import combinations

import numpy as np
import pytest

from optimise_onnx.passes.analysis.subsets import sets
from optimise_onnx.passes.analysis.subsets.evolution import crossed, evolved
from optimise_onnx.passes.analysis.subsets.sets import compensating, largest, quadratic, swapped


def correlated(rng: np.random.Generator, units: int) -> np.ndarray:
    mixed = rng.standard_normal((units, units + 2)) * rng.uniform(0.1, 1, (units, 1))
    return np.asarray(mixed @ mixed.T)


def left_over(gram: np.ndarray, gone: np.ndarray) -> float:
    """What no factor of the units that stay can tell of the sum of all."""
    stay, wanted = gram[np.ix_(~gone, ~gone)], gram[~gone].sum(1)
    return float(gram.sum() - wanted @ np.linalg.solve(stay, wanted))


@pytest.mark.parametrize("seed", range(4))
def test_what_evolves_is_the_best_of_all_sets(seed: int) -> None:
    rng = np.random.default_rng(seed)
    gram, cell_of = correlated(rng, 13), np.array([0] * 6 + [1] * 6 + [-1])
    gone = evolved(gram, cell_of, 3, rng)[0]
    assert not gone[12] and np.bincount(cell_of[gone]).tolist() == [3, 3]
    sets = [np.isin(np.arange(13), [*a, *b]) for a in combinations(range(6), 3) for b in combinations(range(6, 12), 3)]
    assert left_over(gram, gone) == pytest.approx(min(left_over(gram, each) for each in sets), rel=1e-6)


def test_children_are_as_large_as_their_parents() -> None:
    rng = np.random.default_rng(0)
    cell_of = np.array([0] * 8 + [-1] + [1] * 8)
    mothers, fathers = (largest(rng.random((200, 17)), cell_of, 3) for _ in range(2))
    children = crossed(mothers, fathers, cell_of, 3, rng)
    assert (children >= (mothers & fathers)).all() and (children <= (mothers | fathers)).all()
    mutants = swapped(children, cell_of, rng)
    for each in (mothers, children, mutants):
        assert (each[:, cell_of == 0].sum(1) == 3).all() and (each[:, cell_of == 1].sum(1) == 3).all()
        assert not each[:, 8].any()
    moved = (mutants != children).sum(1)
    assert set(moved.tolist()) == {0, 2}


def test_where_all_goes_or_nothing_contributes_there_is_an_answer() -> None:
    rng, cell_of = np.random.default_rng(0), np.zeros(4, int)
    assert evolved(np.eye(4), cell_of, 4, rng)[0].all() and not evolved(np.eye(4), cell_of, 0, rng)[0].any()
    assert evolved(np.zeros((4, 4)), cell_of, 2, rng)[0].sum() == 2


def test_the_quadratic_fitness_is_what_goes_with_nothing_made_up_for() -> None:
    rng, cell_of = np.random.default_rng(3), np.zeros(12, int)
    gram = correlated(rng, 12)
    every = np.array([np.isin(np.arange(12), each) for each in combinations(range(12), 4)])
    costs = quadratic(gram)(every)
    np.testing.assert_allclose(costs, [gram[np.ix_(each, each)].sum() for each in every])
    found = evolved(gram, cell_of, 4, rng, quadratic)
    assert quadratic(gram)(found[:1])[0] == pytest.approx(costs.min())
    assert len(np.unique(found, axis=0)) == len(found) and (np.diff(quadratic(gram)(found)) >= 0).all()


def test_sets_are_judged_in_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    gram, rng = correlated(np.random.default_rng(0), 12), np.random.default_rng(1)
    gone = largest(rng.random((30, 12)), np.zeros(12, int), 5)
    whole = compensating(gram)(gone)
    monkeypatch.setattr(sets, "_AT_ONCE", 100)
    np.testing.assert_allclose(compensating(gram)(gone), whole)
