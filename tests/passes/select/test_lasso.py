"""The l1 path: optimality of each solution, a closed form, and what the order of leaving means."""

import itertools

import numpy as np
import pytest

from optimise_onnx.passes.select.gram import contribution_gram, weight_norms
from optimise_onnx.passes.select.lasso import descend, lasso, leaving_order
from tests.passes.select.support import Array, cases, loss, parts_of, random_reader, samples, taps

RNG = np.random.default_rng(0)


def gram_of(rng: np.random.Generator, size: int) -> Array:
    x = samples(rng, 200, size)
    return x.T @ x / len(x)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 0.99])
def test_solutions_satisfy_the_conditions_of_optimality(seed: int, share: float) -> None:
    gram = gram_of(np.random.default_rng(seed), 9)
    wanted = gram.sum(1)
    penalty = share * np.abs(wanted).max()
    factors = descend(gram, wanted, penalty, np.ones(9))
    slack, on = wanted - gram @ factors, factors != 0
    assert on.any()
    np.testing.assert_allclose(slack[on], penalty * np.sign(factors[on]), rtol=0, atol=0.02 * penalty)
    assert (np.abs(slack) <= penalty * 1.02).all()


def test_without_correlation_the_smallest_contribution_leaves_first() -> None:
    power = np.array([3.0, 1, 4, 0, 5, 2])
    assert leaving_order(np.diag(power), np.ones(6)).tolist() == [3, 1, 4, 0, 5, 2]
    np.testing.assert_allclose(
        descend(np.diag(power), power, 1.5, np.ones(6)), np.maximum(power - 1.5, 0) / np.maximum(power, 1)
    )


def test_the_penalty_is_on_factors_of_weights_of_norm_one() -> None:
    """A channel with twice the weight and half the input contributes the same, and leaves later."""
    assert leaving_order(np.diag([4.0, 4.0, 4.0]), np.array([1.0, 4.0, 2.0])).tolist() == [2, 0, 1]


@pytest.mark.parametrize("seed", range(4))
def test_the_order_is_that_of_a_fine_path(seed: int) -> None:
    """Leaving for good, as a path of many more penalties than the bisection tells it."""
    gram = gram_of(np.random.default_rng(seed), 8)
    wanted = gram.sum(1)
    factors, last = np.ones(8), np.full(8, -1)
    for step, penalty in enumerate(np.geomspace(1e-5, 1, 3000) * np.abs(wanted).max()):
        factors = descend(gram, wanted, penalty, factors)
        last[factors != 0] = step
    found = leaving_order(gram, np.ones(8))
    clear = [(a, b) for a, b in itertools.permutations(range(8), 2) if last[a] + 60 < last[b]]
    assert len(clear) > 10
    assert all(found[a] < found[b] for a, b in clear)


@pytest.mark.parametrize("seed", range(3))
def test_cells_lose_equally(seed: int) -> None:
    for readers, (cells, width) in cases(np.random.default_rng(seed)):
        parts = parts_of(readers)
        place = leaving_order(contribution_gram(parts, cells * width), weight_norms(parts, cells * width))
        rounds, _ = lasso(readers, (cells, width), RNG)
        assert (rounds // width == np.arange(cells)).all()
        assert (np.diff(place[rounds], axis=0) > 0).all()


@pytest.mark.parametrize("seed", range(4))
def test_it_is_near_the_best_subset(seed: int) -> None:
    rng = np.random.default_rng(seed)
    readers = [random_reader(rng, taps(7, 2)), random_reader(rng, taps(7, 1), 6)]
    parts, (_, curve) = parts_of(readers), lasso(readers, (1, 7), RNG)
    for count in range(1, 7):
        best = min(loss(parts, subset) for subset in itertools.combinations(range(7), count))
        assert best * (1 - 1e-9) <= curve[count] <= 4 * best


def test_many_channels_end_in_a_whole_order() -> None:
    """More channels than penalties, copies and dead ones among them."""
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((150, 40))
    rows[10:20], rows[5] = rows[20:30], 0
    place = leaving_order(rows @ rows.T, np.sqrt((rows**2).sum(1)))
    assert sorted(place.tolist()) == list(range(150)) and place[5] == 0
    assert sorted(leaving_order(np.zeros((3, 3)), np.zeros(3)).tolist()) == [0, 1, 2]
