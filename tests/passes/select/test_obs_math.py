"""OBS elimination against the exact compensated loss, brute force over subsets, and degenerate statistics."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimise_onnx.ir.errors import NumericalError
from optimise_onnx.passes.select.obs_math import Consumer, Elimination, eliminate

RIDGE = 1e-4


def _consumer(rng: np.random.Generator, owner: np.ndarray, outputs: int, samples: int = 400) -> Consumer:
    d = len(owner)
    x = np.maximum(rng.standard_normal((samples, d)) @ rng.standard_normal((d, d)) / np.sqrt(d) + 0.2, 0)
    return Consumer(np.cov(x.T, bias=True).reshape(d, d), rng.standard_normal((d, outputs)), owner, rng.uniform(0.5, 2))


def _even(units: int, k: int) -> np.ndarray:
    return np.repeat(np.arange(units), k)


def _loss(consumers: list[Consumer], removed: np.ndarray | list[int], ridge: float = RIDGE) -> float:
    """The loss of methods.md#loss for each consumer, straight from its definition."""
    total = 0.0
    for consumer in consumers:
        hessian = consumer.hessian + ridge * np.diagonal(consumer.hessian).mean() * np.eye(len(consumer.hessian))
        kept = ~np.isin(consumer.block_of_row, removed)
        across = hessian[kept] @ consumer.weight
        fitted = np.linalg.solve(hessian[np.ix_(kept, kept)], across)
        full = np.vdot(consumer.weight, hessian @ consumer.weight)
        total += consumer.scale * float(full - np.vdot(across, fitted))
    return total


def _check_losses(found: Elimination, consumers: list[Consumer]) -> None:
    wanted = [_loss(consumers, found.order[:count]) for count in range(len(found.order) + 1)]
    np.testing.assert_allclose(found.loss, wanted, rtol=1e-8, atol=1e-8 * wanted[-1] + 1e-12)


def _slow_greedy(consumers: list[Consumer], units: int) -> list[int]:
    removed: list[int] = []
    while len(removed) < units:
        left = [unit for unit in range(units) if unit not in removed]
        removed.append(min(left, key=lambda unit: _loss(consumers, [*removed, unit])))
    return removed


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**31), units=st.integers(1, 8), k=st.integers(1, 4), outputs=st.integers(1, 5))
def test_loss_is_the_exact_compensated_loss(seed: int, units: int, k: int, outputs: int) -> None:
    consumers = [_consumer(np.random.default_rng(seed), _even(units, k), outputs)]
    found = eliminate(consumers, units)
    assert sorted(found.order) == list(range(units))
    _check_losses(found, consumers)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**31), keep=st.booleans(), batch=st.sampled_from([None, 1, 2]))
def test_ragged_blocks_fixed_rows_and_several_consumers(seed: int, keep: bool, batch: int | None) -> None:
    rng = np.random.default_rng(seed)
    owners = [rng.integers(-1, 7, size=size) for size in (9, 14, 20)]
    consumers = [_consumer(rng, owner, 3) for owner in owners]
    pinned = rng.random(7) < 0.3 if keep else None
    found = eliminate(consumers, 7, keep=pinned, batch=batch)
    assert sorted(found.order) == [unit for unit in range(7) if pinned is None or not pinned[unit]]
    _check_losses(found, consumers)


@pytest.mark.parametrize("seed", range(5))
def test_the_order_is_that_of_plain_greedy(seed: int) -> None:
    rng = np.random.default_rng(seed)
    consumers = [_consumer(rng, _even(10, 2), 4), _consumer(rng, _even(10, 1), 6)]
    assert eliminate(consumers, 10).order.tolist() == _slow_greedy(consumers, 10)


@pytest.mark.parametrize("seed", range(8))
def test_greedy_is_near_the_best_subset(seed: int) -> None:
    rng = np.random.default_rng(seed)
    consumers = [_consumer(rng, _even(8, 2), 4), _consumer(rng, _even(8, 1), 6)]
    found = eliminate(consumers, 8)
    for count in range(1, 8):
        best = min(_loss(consumers, list(subset)) for subset in itertools.combinations(range(8), count))
        assert best * (1 - 1e-9) <= found.loss[count] <= 1.25 * best


def test_the_weights_that_are_left_are_refitted_not_only_scored() -> None:
    """Each of two copies is free to go alone; a one-shot ranking would drop both."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((500, 4)) * [3.0, 3.0, 1.0, 1.0]
    x[:, 1] = x[:, 0]
    consumers = [Consumer(np.cov(x.T, bias=True), np.ones((4, 2)), np.arange(4), 1.0)]
    found = eliminate(consumers, 4, batch=2)
    assert found.order[0] in (0, 1)
    assert found.order[-1] in (0, 1)
    assert found.loss[1] < 1e-2 < found.loss[2]


@pytest.mark.parametrize("batch", [1, 4, 16])
def test_batches_cost_hardly_more_than_plain_greedy(batch: int) -> None:
    rng = np.random.default_rng(1)
    consumers = [_consumer(rng, _even(60, 3), 10, samples=300) for _ in range(2)]
    plain = eliminate(consumers, 60, batch=60)
    found = eliminate(consumers, 60, batch=batch)
    assert sorted(found.order) == list(range(60))
    _check_losses(found, consumers)
    assert (found.loss <= 1.03 * plain.loss + 1e-12).all()


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**31), batch=st.sampled_from([None, 1, 2]), keep=st.booleans())
def test_every_round_takes_one_unit_of_each_cell(seed: int, batch: int | None, keep: bool) -> None:
    rng = np.random.default_rng(seed)
    cells = rng.permutation(np.repeat([3, 7, 8], 4))
    consumers = [_consumer(rng, _even(12, 2), 5)]
    pinned = rng.random(12) < 0.2 if keep else np.zeros(12, bool)
    found = eliminate(consumers, 12, cells=cells, keep=pinned, batch=batch)
    assert len(found.rounds) == min((cells[~pinned] == cell).sum() for cell in (3, 7, 8))
    assert all(sorted(cells[units]) == [3, 7, 8] for units in found.rounds)
    assert not pinned[found.order].any()
    assert len(found.curve) == len(found.rounds) + 1
    _check_losses(found, consumers)


def test_units_nobody_reads_go_first_and_for_nothing() -> None:
    rng = np.random.default_rng(0)
    found = eliminate([_consumer(rng, np.array([1, 1, 3, -1]), 2)], 4)
    assert found.order[:2].tolist() == [0, 2]
    assert found.loss[:3].tolist() == [0, 0, 0]


@pytest.mark.parametrize("ridge", [0.0, 1e-12, 1e-4])
@pytest.mark.parametrize("samples", [3, 200])
def test_degenerate_statistics_give_finite_losses(ridge: float, samples: int) -> None:
    rng = np.random.default_rng(2)
    x = np.maximum(rng.standard_normal((samples, 24)), 0)
    x[:, 2:4] = 0  # a dead unit
    x[:, 6:8] = x[:, 4:6]  # a twin
    x[:, 9] = x[:, 8]  # equal rows within a unit
    consumers = [Consumer(np.cov(x.T, bias=True), rng.standard_normal((24, 5)), _even(12, 2), 1.0)]
    found = eliminate(consumers, 12, ridge=ridge)
    assert sorted(found.order) == list(range(12))
    assert np.isfinite(found.loss).all()
    assert (np.diff(found.loss) >= 0).all()
    assert found.loss[2] <= 1e-3 * found.loss[-1]
    np.testing.assert_allclose(found.loss[-1], _loss(consumers, found.order, max(ridge, 1e-8)), rtol=1e-5)


def test_nothing_to_remove_and_nothing_to_lose() -> None:
    rng = np.random.default_rng(0)
    assert eliminate([], 0).loss.tolist() == [0]
    assert eliminate([], 3).order.tolist() == [0, 1, 2]
    pinned = eliminate([_consumer(rng, _even(2, 2), 1)], 2, keep=np.ones(2, bool))
    assert pinned.loss.tolist() == [0]
    assert pinned.rounds == []
    silent = Consumer(np.zeros((2, 2)), np.ones((2, 1)), np.arange(2), 1.0)
    assert eliminate([silent], 2).loss.tolist() == [0, 0, 0]


@pytest.mark.parametrize("own", [1e-3, 0.5, 9.0])
def test_a_ridge_of_its_own_is_added_to_the_hessian_first(own: float) -> None:
    consumer = _consumer(np.random.default_rng(0), np.array([3, 0, 1, 2, -1, 1, 0]), 3)
    level = own * np.diagonal(consumer.hessian).mean()
    added = replace(consumer, hessian=consumer.hessian + level * np.eye(7))
    found, wanted = eliminate([replace(consumer, ridge=own)], 4), eliminate([added], 4)
    np.testing.assert_array_equal(found.order, wanted.order)
    np.testing.assert_allclose(found.loss, wanted.loss, rtol=1e-10)


def test_many_batches_close_up_and_stay_exact() -> None:
    rng = np.random.default_rng(3)
    consumers = [_consumer(rng, rng.permutation(_even(40, 2)), 6), _consumer(rng, np.r_[_even(40, 1), 7, 7, -1], 5)]
    found = eliminate(consumers, 40, batch=2)
    assert sorted(found.order) == list(range(40))
    _check_losses(found, consumers)


def test_inputs_are_left_alone_and_runs_repeat() -> None:
    consumer = _consumer(np.random.default_rng(0), _even(6, 2), 3)
    before = consumer.hessian.copy(), consumer.weight.copy()
    first, second = eliminate([consumer], 6), eliminate([consumer], 6)
    np.testing.assert_array_equal(consumer.hessian, before[0])
    np.testing.assert_array_equal(consumer.weight, before[1])
    np.testing.assert_array_equal(first.order, second.order)
    np.testing.assert_array_equal(first.loss, second.loss)


def test_broken_input_is_refused() -> None:
    good = np.eye(2), np.ones((2, 1)), np.arange(2)
    with pytest.raises(NumericalError, match="weight or scale"):
        eliminate([Consumer(good[0], np.full((2, 1), np.nan), good[2], 1.0)], 2)
    with pytest.raises(NumericalError, match="weight or scale"):
        eliminate([Consumer(*good, np.inf)], 2)
    with pytest.raises(NumericalError, match="covariance"):
        eliminate([Consumer(np.full((2, 2), np.nan), *good[1:], 1.0)], 2)
    with pytest.raises(NumericalError, match="badly conditioned"):
        eliminate([Consumer(np.diag([1.0, -9.0]), *good[1:], 1.0)], 2)
    with pytest.raises(ValueError, match="do not fit"):
        eliminate([Consumer(*good, 1.0)], 1)
    with pytest.raises(ValueError, match="cells and keep"):
        eliminate([Consumer(*good, 1.0)], 2, cells=np.zeros(3, np.int64))
