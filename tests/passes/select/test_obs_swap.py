"""Swaps: each lowers the loss by what it says, none is missed, and the order stays nested."""

import itertools

import numpy as np
import pytest

from optimise_onnx.passes.select.conditional import Part, compensated_curve
from optimise_onnx.passes.select.exchange import best_swap, improved, reduced
from optimise_onnx.passes.select.obs import obs
from optimise_onnx.passes.select.obs_swap import obs_swap
from tests.passes.select.support import cases, loss, parts_of, random_reader, taps

RNG = np.random.default_rng(0)


def slow_best_swap(parts: list[Part], gone: np.ndarray, width: int) -> tuple[float, tuple[int, int] | None]:
    """Try every exchange within a cell."""
    best: tuple[float, tuple[int, int] | None] = loss(parts, np.flatnonzero(gone)) * (1 - 1e-6), None
    for back, out in itertools.product(np.flatnonzero(gone).tolist(), np.flatnonzero(~gone).tolist()):
        if back // width == out // width:
            swapped = np.append(np.flatnonzero(gone)[np.flatnonzero(gone) != back], out)
            best = min(best, (loss(parts, swapped), (back, out)), key=lambda pair: pair[0])
    return best


@pytest.mark.parametrize("seed", range(6))
def test_the_best_swap_is_that_of_trying_all(seed: int) -> None:
    rng = np.random.default_rng(seed)
    for readers, (cells, width) in cases(rng):
        parts, gone = parts_of(readers), rng.permuted(np.arange(width) < width // 2)[None].repeat(cells, 0).ravel()
        assert best_swap(parts, gone, np.repeat(np.arange(cells), width)) == slow_best_swap(parts, gone, width)[1]


@pytest.mark.parametrize("seed", range(6))
def test_swaps_from_a_bad_choice_come_near_the_best_subset(seed: int) -> None:
    rng = np.random.default_rng(seed)
    parts = parts_of([random_reader(rng, taps(7, 2)), random_reader(rng, taps(7, 1), 6)])
    for count in range(1, 7):
        gone = np.arange(7) < count
        better = improved(parts, gone, np.zeros(7, int))
        assert better.sum() == count and gone[:count].all()
        best = min(loss(parts, subset) for subset in itertools.combinations(range(7), count))
        found = loss(parts, np.flatnonzero(better))
        assert found <= loss(parts, np.arange(count)) and found <= 1.2 * best


def test_what_went_can_be_left_out_of_the_statistics() -> None:
    rng = np.random.default_rng(0)
    for readers, (cells, width) in cases(rng):
        parts, gone = parts_of(readers), rng.random(cells * width) < 0.4
        rest = [reduced(part, gone) for part in parts]
        more = [unit for unit in range(cells * width) if not gone[unit]][:2]
        before, after = loss(parts, np.flatnonzero(gone)), loss(parts, [*np.flatnonzero(gone), *more])
        np.testing.assert_allclose(loss(rest, more), after - before, rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize("seed", range(4))
def test_the_first_stop_is_no_worse_than_elimination(seed: int) -> None:
    rng = np.random.default_rng(seed)
    readers = [random_reader(rng, taps(24, 1), 5, 60)]
    order, curve = obs_swap(readers, (1, 24), RNG)
    assert sorted(order.ravel().tolist()) == list(range(24))
    np.testing.assert_allclose(curve, compensated_curve(parts_of(readers), order), rtol=1e-9, atol=1e-12)
    assert curve[6] <= obs(readers, (1, 24), RNG)[1][6] * (1 + 1e-6)


def test_a_swap_that_pays_is_made() -> None:
    """Over some seeds, elimination alone is not optimal and swaps find what it missed."""
    ratios = []
    for seed in range(12):
        readers = [random_reader(np.random.default_rng(seed), taps(16, 1), 3, 60)]
        ratios.append(obs_swap(readers, (1, 16), RNG)[1][4:13:4] / obs(readers, (1, 16), RNG)[1][4:13:4])
    assert np.min(ratios) < 0.98 and np.exp(np.mean(np.log(ratios))) < 1


def test_a_reader_that_loses_everything() -> None:
    rng = np.random.default_rng(0)
    readers = [random_reader(rng, taps(2, 1)), random_reader(rng, taps(6, 2))]
    gone = np.arange(6) < 2
    assert best_swap(parts_of(readers), gone, np.zeros(6, int)) == slow_best_swap(parts_of(readers), gone, 6)[1]
    assert best_swap(parts_of(readers), np.zeros(6, bool), np.zeros(6, int)) is None
