"""Allocation under a budget against brute force, its promises, and its speed."""

import itertools
import time
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimise_onnx.passes.allocate.cost_model import CostModel, Cursor, Term
from optimise_onnx.passes.allocate.greedy import Menu, allocate

Curves = list[np.ndarray]


def _network(rng: np.random.Generator, groups: int, rounds: int, convex: bool) -> tuple[Curves, CostModel]:
    """Random curves of very different scales, and a chain of layers with some extra couplings."""
    curves, terms, unit = [], [], np.eye(groups)
    for group in range(groups):
        steps = rng.random(rounds) ** rng.uniform(1, 6)
        steps = np.sort(steps) if convex else steps
        curves.append(np.concatenate([[0], np.cumsum(steps)]) * 10 ** rng.uniform(-2, 1) / rounds)
        reads = unit[rng.integers(groups)] if group else np.zeros(groups)
        terms.append(Term(rng.uniform(9, 81), reads, 0.0 if group else 3.0, unit[group]))
        terms.append(Term(rng.uniform(1, 9), unit[rng.integers(groups)], right_const=10.0))
        if rng.random() < 0.5:
            terms.append(Term(rng.uniform(1, 9), unit[group] + unit[rng.integers(groups)], 1.0, unit[group]))
    return curves, CostModel.of(terms, groups, 100.0)


def _allocate(
    curves: Curves, cost: CostModel, budget: float, minimum: Sequence[int], step: Sequence[int]
) -> np.ndarray | None:
    menus = [Menu.of(curve, least, size) for curve, least, size in zip(curves, minimum, step, strict=True)]
    kept = allocate(menus, cost, budget)
    return None if kept is None else kept.astype(np.int64)


def _error(curves: Curves, kept: np.ndarray) -> float:
    return float(sum(curve[len(curve) - 1 - count] for curve, count in zip(curves, kept, strict=True)))


def _brute(curves: Curves, cost: CostModel, budget: float) -> float:
    every = (np.array(kept) for kept in itertools.product(*(range(1, len(curve)) for curve in curves)))
    return min(_error(curves, kept) for kept in every if cost(kept) <= budget)


def _budget(cost: CostModel, groups: int, rounds: int, share: float) -> float:
    low, high = cost(np.ones(groups)), cost(np.full(groups, rounds))
    return low + share * (high - low)


@pytest.mark.parametrize("convex", [True, False])
def test_error_is_near_the_optimum(convex: bool) -> None:
    rng = np.random.default_rng(0)
    ratios = []
    for share in np.linspace(0.1, 0.9, 20):
        curves, cost = _network(rng, 3, 6, convex)
        budget = _budget(cost, 3, 6, share)
        kept = _allocate(curves, cost, budget, [1] * 3, [1] * 3)
        assert kept is not None
        assert cost(kept) <= budget
        ratios.append(_error(curves, kept) / _brute(curves, cost, budget))
    assert min(ratios) >= 1 - 1e-12
    assert np.mean(ratios) < 1.02
    assert max(ratios) < 1.35


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**31), groups=st.integers(1, 6), share=st.floats(0, 1), convex=st.booleans())
def test_budget_minimum_and_step_always_hold(seed: int, groups: int, share: float, convex: bool) -> None:
    rng = np.random.default_rng(seed)
    curves, cost = _network(rng, groups, 13, convex)
    minimum, step = rng.integers(0, 16, size=groups), rng.integers(1, 6, size=groups)
    floors = np.minimum(-(-minimum // step) * step, 13)
    budget = cost(floors) + share * (cost(np.full(groups, 13)) - cost(floors))
    kept = _allocate(curves, cost, budget, minimum, step)
    assert kept is not None
    assert cost(kept) <= budget
    assert (kept >= floors).all()
    assert ((kept % step == 0) | (kept == 13)).all()
    assert _allocate(curves, cost, cost(floors) * 0.999 - 1e-6, minimum, step) is None


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**31), share=st.floats(0.05, 0.95))
def test_no_single_round_that_still_fits_would_help(seed: int, share: float) -> None:
    curves, cost = _network(np.random.default_rng(seed), 5, 12, True)
    budget = _budget(cost, 5, 12, share)
    kept = _allocate(curves, cost, budget, [1] * 5, [1] * 5)
    assert kept is not None
    for more in np.eye(5, dtype=np.int64):
        assert (
            (kept + more).max() > 12
            or cost(kept + more) > budget
            or _error(curves, kept + more) == _error(curves, kept)
        )


def test_cost_is_the_sum_of_its_layers() -> None:
    rng = np.random.default_rng(1)
    terms = [
        Term(
            rng.uniform(1, 9),
            rng.integers(0, 3, 4).astype(np.float64),
            2.0,
            None if index == 1 else rng.integers(0, 3, 4).astype(np.float64),
            5.0,
        )
        for index in range(3)
    ]
    kept = np.array([3, 1, 4, 1])
    slow = 7.0
    for term in terms:
        right = term.right_const + (0.0 if term.right is None else term.right @ kept)
        slow += term.factor * (term.left_const + term.left @ kept) * right
    assert CostModel.of(terms, 4, 7.0)(kept) == pytest.approx(slow, rel=1e-14)


def _shared(rng: np.random.Generator, groups: int, layers: int) -> CostModel:
    """A chain of layers between groups, each of which may keep a share of its cost, and one that may not."""
    unit, terms = np.eye(groups), [Term(3.0, np.eye(groups)[0])]
    for layer in range(layers):
        left, right = unit[rng.integers(groups)], unit[rng.integers(groups)]
        terms.append(Term(rng.uniform(1, 9), left, rng.uniform(0, 2), right, rng.uniform(0, 2), groups + layer))
    return CostModel.of(terms, groups + layers, 5.0)


def _summed(menus: list[Menu], levels: np.ndarray) -> float:
    return sum(float(menu.errors[menu.levels == level][0]) for menu, level in zip(menus, levels, strict=True))


@pytest.mark.parametrize("seed", range(5))
def test_cost_along_one_variable_is_its_quadratic(seed: int) -> None:
    rng = np.random.default_rng(seed)
    cost, kept = _shared(rng, 3, 4), np.concatenate([rng.integers(1, 9, 3), rng.random(4)])
    cursor = Cursor(cost, kept + 1)
    for place in range(7):
        cursor.move(place, kept[place])
    slopes, bends = cost.slopes(kept)
    for place in range(7):
        moved = kept.copy()
        moved[place] += 1.7
        slope, bend = cursor.along(place)
        assert (slope, bend) == pytest.approx((slopes[place], bends[place]), rel=1e-12)
        wanted = (slope + bend * moved[place]) * moved[place] - (slope + bend * kept[place]) * kept[place]
        assert cost(moved) - cost(kept) == pytest.approx(wanted, rel=1e-10)


def test_shares_and_widths_together_are_near_the_optimum() -> None:
    rng, ratios = np.random.default_rng(2), []
    for _ in range(12):
        cost = _shared(rng, 2, 2)
        menus = [Menu.of(np.concatenate([[0], np.cumsum(rng.random(6))]), 1) for _ in range(2)]
        shares = np.array([0.2, 0.4, 0.6, 1.0])
        menus += [Menu(shares, np.sort(rng.random(4))[::-1] * (shares < 1)) for _ in range(2)]
        whole = cost(np.array([menu.levels[-1] for menu in menus]))
        every = [np.array(levels) for levels in itertools.product(*(menu.levels for menu in menus))]
        errors = {
            tuple(at): sum(float(m.errors[m.levels == v][0]) for m, v in zip(menus, at, strict=True)) for at in every
        }
        best = min(errors[tuple(at)] for at in every if cost(at) <= 0.5 * whole)
        kept = allocate(menus, cost, 0.5 * whole)
        assert kept is not None
        assert cost(kept) <= 0.5 * whole
        ratios.append(errors[tuple(kept)] / best)
    assert min(ratios) >= 1 - 1e-12
    assert np.mean(ratios) < 1.05


def test_free_channels_go_and_dear_ones_stay() -> None:
    rounds = np.arange(11.0)
    cost = CostModel(0.0, np.ones(2), np.zeros((2, 2)))
    assert _allocate([rounds * 0, rounds], cost, 12, [1, 1], [1, 1]).tolist() == [1, 10]  # type: ignore[union-attr]
    assert _allocate([rounds, rounds * 0], cost, 30, [1, 1], [1, 1]).tolist() == [10, 10]  # type: ignore[union-attr]


def test_a_falling_curve_counts_as_flat() -> None:
    cost = CostModel(0.0, np.ones(2), np.zeros((2, 2)))
    noisy = np.array([0, 2.0, 1.0, 3.0])
    level = np.array([0, 1.5, 1.6, 1.7])
    assert _allocate([noisy, level], cost, 4, [0, 0], [1, 1]).tolist() == [3, 1]  # type: ignore[union-attr]


def test_a_group_that_costs_nothing_keeps_everything_worth_keeping() -> None:
    cost = CostModel(0.0, np.array([1.0, 0.0]), np.zeros((2, 2)))
    curve = np.arange(9.0)
    assert _allocate([curve, curve], cost, 4, [1, 1], [1, 1]).tolist() == [4, 8]  # type: ignore[union-attr]


def test_no_groups() -> None:
    assert _allocate([], CostModel.of([], 0, 5.0), 5.0, [], []).tolist() == []  # type: ignore[union-attr]
    assert _allocate([], CostModel.of([], 0, 5.0), 4.0, [], []) is None


def test_broken_input_is_refused() -> None:
    cost, curve = CostModel(0.0, np.ones(1), np.zeros((1, 1))), np.arange(3.0)
    with pytest.raises(ValueError, match="variables"):
        _allocate([curve, curve], cost, 1.0, [1, 1], [1, 1])
    with pytest.raises(ValueError, match="at least 1"):
        _allocate([curve], cost, 1.0, [1], [0])
    with pytest.raises(ValueError, match="must not fall"):
        _allocate([curve], CostModel(9.0, -np.ones(1), np.zeros((1, 1))), 1.0, [1], [1])
    with pytest.raises(ValueError, match="NaN or Inf"):
        _allocate([curve * np.nan], cost, 1.0, [1], [1])


def test_a_big_network_is_quick_near_its_budget_and_repeatable() -> None:
    curves, cost = _network(np.random.default_rng(3), 60, 2048, True)
    budget = cost(np.full(60, 2048)) / 2
    started = time.perf_counter()
    kept = _allocate(curves, cost, budget, [1] * 60, [1] * 60)
    assert time.perf_counter() - started < 20  # about one second on an idle core
    assert kept is not None
    assert 0.9999 * budget <= cost(kept) <= budget
    np.testing.assert_array_equal(kept, _allocate(curves, cost, budget, [1] * 60, [1] * 60))
