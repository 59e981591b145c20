"""From shares to forms within a budget, against every combination."""

import itertools
from typing import Any, cast

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from optimise_onnx.passes.allocate.rounding import Rung, climb


def rungs(rng: np.random.Generator) -> list[Rung]:
    found = []
    for _ in range(int(rng.integers(1, 5))):
        costs = np.sort(rng.integers(1, 40, size=int(rng.integers(1, 5)))).astype(np.float64)
        found.append(Rung(cast(Any, tuple(range(len(costs)))), costs, float(rng.uniform(0, 45))))
    return found


def spent(ladder: list[Rung], places: list[int]) -> float:
    return float(sum(rung.costs[place] for rung, place in zip(ladder, places, strict=True)))


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_budget_holds_and_no_step_is_left_that_fits(seed: int) -> None:
    rng = np.random.default_rng(seed)
    ladder = rungs(rng)
    low = spent(ladder, [rung.below for rung in ladder])
    budget = float(rng.uniform(0.5, 2) * low)
    places = climb(ladder, budget)
    assert spent(ladder, places) <= max(budget, low)
    for rung, place in zip(ladder, places, strict=True):
        assert rung.below <= place <= rung.below + 1
        if place == rung.below and place + 1 < len(rung.costs):
            assert spent(ladder, places) + rung.costs[place + 1] - rung.costs[place] > budget


def test_below_is_the_dearest_that_is_not_too_dear() -> None:
    costs = np.array([2.0, 4.0, 8.0])
    for wanted, place in ((1.0, 0), (2.0, 0), (3.9, 0), (4.0, 1), (100.0, 2)):
        assert Rung(cast(Any, (0, 1, 2)), costs, wanted).below == place


def test_who_fell_shortest_goes_up_first() -> None:
    ladder = [Rung(cast(Any, (0, 1)), np.array([10.0, 20.0]), wanted) for wanted in (12.0, 19.0)]
    best = max(itertools.product((0, 1), repeat=2), key=lambda p: (spent(ladder, list(p)) <= 30, p[1], p[0]))
    assert climb(ladder, 30.0) == [0, 1] == list(best)
