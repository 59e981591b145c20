"""The forward search against a plain one on losses that are known, and its promises."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimise_onnx.passes.allocate.bisection import WidthSearch, fitted

Levels = list[np.ndarray]


class Separable:
    """A loss that adds up over groups, each convex in what it loses; it remembers what it was asked."""

    def __init__(self, rng: np.random.Generator, widths: list[int]) -> None:
        steps = [np.sort(rng.random(width)) * 10 ** rng.uniform(-2, 1) for width in widths]
        self.curves = [np.concatenate([[0.0], np.cumsum(step)]) for step in steps]
        self.asked: list[np.ndarray] = []

    def __call__(self, kept: np.ndarray) -> float:
        self.asked.append(kept.copy())
        return float(sum(curve[len(curve) - 1 - stay] for curve, stay in zip(self.curves, kept, strict=True)))


def _case(seed: int, groups: int = 4) -> tuple[Levels, Separable, "Chain"]:
    rng = np.random.default_rng(seed)
    widths = rng.integers(1, 14, groups).tolist()
    levels = [np.arange(width, max(1, width // 4) - 1, -1) for width in widths]
    return levels, Separable(rng, widths), Chain()


class Chain:
    """Every layer reads the group before it."""

    def __call__(self, kept: np.ndarray) -> float:
        return float(3 * kept[0] + kept[:-1] @ kept[1:] + kept[-1])


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31), st.floats(-3, 1.5))
def test_every_group_goes_as_far_as_its_share_of_the_loss(seed: int, decade: float) -> None:
    levels, loss, _ = _case(seed)
    allowed = 10**decade
    plain = np.array([level[0] for level in levels])
    free = [group for group, level in enumerate(levels) if len(level) > 1]

    def open_to_the_end(kept: np.ndarray) -> float:
        return float(kept[free[-1]] == plain[free[-1]])

    kept = WidthSearch(levels, loss, open_to_the_end if free else len, probes=8, step_limit=1.0).forward(allowed, 0.5)
    for place, group in enumerate(free, 1):
        for level in levels[group]:
            tried = plain.copy()
            tried[group] = level
            if loss(tried) <= allowed * place / len(free):
                plain = tried
    np.testing.assert_array_equal(kept, plain)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31), st.floats(0.01, 0.99))
def test_the_budget_is_met_and_used_up(seed: int, share: float) -> None:
    levels, loss, cost = _case(seed)
    least, whole = (cost(np.array([level[place] for level in levels])) for place in (-1, 0))
    budget = least + share * (whole - least)
    kept = WidthSearch(levels, loss, cost).best(budget, 6)
    assert kept is not None and cost(kept) <= budget
    for group, level in enumerate(levels):
        assert kept[group] in level
        more = kept.copy()
        more[group] += 1
        assert kept[group] == level[0] or cost(more) > budget
    assert WidthSearch(levels, loss, cost).best(least - 1, 6) is None


def test_a_probe_does_not_go_far_beyond_what_has_passed() -> None:
    levels = [np.arange(40, 0, -1)]
    loss = Separable(np.random.default_rng(0), [40])
    WidthSearch(levels, loss, lambda kept: float(kept.sum()), probes=9, step_limit=0.1).forward(1e9, 2.0)
    lost = [40 - int(kept[0]) for kept in loss.asked]
    assert lost == [4, 8, 12, 16, 20, 24, 28, 32, 36]


def test_a_sensitive_group_keeps_more() -> None:
    levels = [np.arange(16, 0, -1)] * 2

    def loss(kept: np.ndarray) -> float:
        return float(100 * (16 - kept[0]) ** 2 + (16 - kept[1]) ** 2)

    kept = WidthSearch(levels, loss, lambda kept: float(kept.sum()), probes=6).best(20.0, 8)
    assert kept is not None and kept.sum() == 20 and kept[0] > 2 * kept[1]


@pytest.mark.parametrize(
    ("start", "wanted"),
    [([4, 4, 4], [4, 4, 2]), ([1, 1, 1], [1, 4, 4]), ([4, 1, 1], [4, 2, 4]), ([4, 2, 4], [4, 2, 4])],
)
def test_the_last_groups_make_it_fit(start: list[int], wanted: list[int]) -> None:
    levels = [np.arange(4, 0, -1)] * 3

    def cost(kept: np.ndarray) -> float:
        return float(kept.sum())

    budget = 9.0 if start == [1, 1, 1] else 10.0
    assert fitted(levels, np.array(start), cost, budget).tolist() == wanted  # type: ignore[union-attr]
    assert fitted(levels, np.array(start), cost, 2.0) is None
