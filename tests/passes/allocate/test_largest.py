"""Levels within a budget for every step: kept, close to the best there is; nothing is cut that no step needs cut."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimise_onnx.passes.allocate.cost_model import Floats
from optimise_onnx.passes.allocate.greedy import Menu
from optimise_onnx.passes.allocate.largest import LargestStep, allocate_within
from optimise_onnx.passes.analysis.costs.products import Count, Product
from optimise_onnx.passes.analysis.costs.steps import Steps

WIDTH = 5


def drawn(seed: int, variables: int) -> tuple[list[Menu], LargestStep]:
    """Steps whose costs are random products of two widths, and convex curves."""
    rng, unit = np.random.default_rng(seed), np.eye(variables)
    count = int(rng.integers(1, 5))
    sides = rng.integers(0, variables, (2 * count, 2))
    products = tuple(
        Product(rng.uniform(1, 9), Count(0, unit[left]), Count(rng.uniform(0, 2), unit[right])) for left, right in sides
    )
    ends = np.sort(rng.integers(0, count, (len(products), 2)), axis=1)
    menus = [Menu.of(np.append(0.0, np.cumsum(np.sort(rng.uniform(0, 1, WIDTH)))), minimum=1) for _ in range(variables)]
    return menus, LargestStep(Steps(products, ends[:, 0], ends[:, 1], count))


def error(menus: list[Menu], levels: Floats) -> float:
    return sum(float(m.errors[m.levels == level][0]) for m, level in zip(menus, levels, strict=True))


def ratio(seed: int, share: float) -> float:
    """Return the error of what is found over the least that fits; 1 where nothing does."""
    menus, cost = drawn(seed, 3)
    budget = share * cost(np.full(3, float(WIDTH)))
    found = allocate_within(menus, cost, budget)
    fitting = [np.array(levels) for levels in product(*(m.levels for m in menus)) if cost(np.array(levels)) <= budget]
    if found is None:
        assert not fitting
        return 1.0
    assert cost(found) <= budget
    return (error(menus, found) + 1e-12) / (min(error(menus, levels) for levels in fitting) + 1e-12)


@given(st.integers(0, 2**31), st.floats(0.05, 1.0))
@settings(max_examples=40, deadline=None)
def test_within_the_budget_wherever_anything_is(seed: int, share: float) -> None:
    assert ratio(seed, share) > 0.999


def test_near_the_best_that_fits() -> None:
    ratios = [ratio(seed, share) for seed in range(40) for share in (0.2, 0.4, 0.7)]
    assert np.mean(ratios) < 1.02 and np.quantile(ratios, 0.95) < 1.2


def test_what_no_step_needs_cut_stays() -> None:
    unit, one = np.eye(2), Count(1.0, np.zeros(2))
    products = (Product(1.0, Count(0, unit[0]), one), Product(1.0, Count(0, unit[1]), one))
    cost = LargestStep(Steps(products, np.array([0, 1]), np.array([0, 1]), 2))
    menus = [Menu.of(np.arange(11.0), 1), Menu.of(np.arange(5.0) / 1e6, 1)]
    assert allocate_within(menus, cost, 4.0) == pytest.approx([4, 4])
