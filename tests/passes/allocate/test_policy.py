"""The learned policy: it always meets its target, and comes near the best that the curves allow."""

import numpy as np
import pytest

from optimise_onnx.passes.allocate.cost_model import CostModel, Term
from optimise_onnx.passes.allocate.greedy import Menu, allocate
from optimise_onnx.passes.allocate.policy import STATIC, WEIGHTS, Course, trained

GROUPS, WIDTH = 6, 16


def course(seed: int) -> Course:
    """A chain of layers, each of other worth: the error of a group rises with a power of what it loses."""
    rng = np.random.default_rng(seed)
    sides = np.eye(GROUPS)
    terms = [Term(rng.uniform(1, 4), sides[i], 0.0, sides[i + 1]) for i in range(GROUPS - 1)]
    terms += [Term(50.0, sides[0]), Term(20.0, sides[-1])]
    lost = np.arange(WIDTH + 1) / WIDTH
    curves = [rng.uniform(0.1, 3) * lost ** rng.uniform(1, 3) for _ in range(GROUPS)]
    levels = [np.arange(1, WIDTH + 1) for _ in range(GROUPS - 1)] + [np.arange(4, WIDTH + 1, 4)]
    return Course(rng.random((GROUPS, STATIC)), levels, curves, CostModel.of(terms, GROUPS))


@pytest.mark.parametrize("seed", range(5))
def test_every_policy_meets_every_target_at_allowed_widths(seed: int) -> None:
    given, rng = course(seed), np.random.default_rng(seed)
    targets = np.linspace(given.lowest, 1, 40)
    kept = given.walked(3 * rng.standard_normal((40, WEIGHTS)), targets)
    costs = np.array([given.cost(row) for row in kept]) / given.cost(given.whole)
    assert (costs <= targets + 1e-9).all()
    assert all(np.isin(column, level).all() for column, level in zip(kept.T, given.levels, strict=True))


def test_episodes_side_by_side_are_those_alone() -> None:
    given, rng = course(0), np.random.default_rng(0)
    weights, targets = rng.standard_normal((7, WEIGHTS)), np.linspace(0.3, 0.9, 7)
    together = given.walked(weights, targets)
    for number in range(7):
        alone = given.walked(weights[number : number + 1], targets[number : number + 1])
        np.testing.assert_array_equal(alone[0], together[number])


def test_training_comes_near_the_best() -> None:
    given = course(2)
    weights = trained(given, np.random.default_rng(0), 200)[None]
    pairs = zip(given.curves, given.levels, strict=True)
    menus = [Menu.of(curve, int(level[0]), int(np.diff(level)[0])) for curve, level in pairs]
    for share in (0.5, 0.3):
        found = given.errors(given.walked(weights, np.array([share])))[0]
        best = allocate(menus, given.cost, share * given.cost(given.whole))
        assert best is not None
        least = given.errors(best[None])[0]
        untrained = given.errors(given.walked(np.zeros((1, WEIGHTS)), np.array([share])))[0]
        assert 0.99 * least <= found <= 1.5 * least < untrained


def test_training_is_repeatable() -> None:
    first, second = (trained(course(2), np.random.default_rng(3), 3) for _ in range(2))
    np.testing.assert_array_equal(first, second)
