"""Balanced settings against every combination of settings, and what pruning may do to the fewest multipliers."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st

from optimise_onnx.backends.hls.cost.balance import Frontier
from optimise_onnx.backends.hls.cost.tradeoff import (
    all_choices,
    balanced,
    cheapest,
    latency_cycles,
    least_multipliers,
    speed,
    total_multipliers,
)
from optimise_onnx.backends.hls.network import Convolution, Dense, Network
from optimise_onnx.ir.errors import TargetNotMetError
from tests.backends.hls.cost.chains import Chain, resnet8, small_cnn

WIDTH = st.integers(1, 3)


@st.composite
def tiny(draw: st.DrawFn) -> Network:
    """A convolution, an affine layer and two dense layers, some of the weights zero."""
    chain = Chain(draw(st.integers(2, 4)), draw(st.integers(2, 4)), 1)
    size, strides = draw(st.tuples(st.integers(1, 2), st.integers(1, 2))), draw(st.sampled_from([(1, 1), (2, 2)]))
    width = draw(st.integers(1, 2))
    zeros = draw(st.integers(0, 2))
    kernel = np.where(np.arange(size[0] * size[1] * width) < zeros, 0.0, 1.0).reshape(*size, 1, width)
    chain.conv(width, size, strides, kernel=kernel)
    chain.affine()
    chain.pool(min(chain.shape(None)[:2]))
    chain.flatten()
    chain.dense(1)
    chain.dense(draw(WIDTH))
    return chain.network()


def every(network: Network) -> list[tuple[int, int]]:
    """List interval and multipliers of every combination of settings."""
    found = all_choices(network)
    combinations = product(*(choice.settings for choice in found.values()))
    settings = [dict(zip(found, combination, strict=True)) for combination in combinations]
    return [(speed(network, each).interval, total_multipliers(network, each)) for each in settings]


@limits(max_examples=30)
@given(tiny(), st.integers(0, 12))
def test_no_settings_within_the_budget_are_faster(network: Network, spare: int) -> None:
    combinations = every(network)
    budget = min(taken for _, taken in combinations) + spare
    settings = balanced(network, budget)
    assert total_multipliers(network, settings) <= budget
    assert speed(network, settings).interval == min(cycles for cycles, taken in combinations if taken <= budget)


@limits(max_examples=30)
@given(tiny(), st.integers(0, 100))
def test_no_settings_at_the_interval_take_fewer_multipliers(network: Network, spare: int) -> None:
    combinations = every(network)
    limit = min(cycles for cycles, _ in combinations) + spare
    settings = cheapest(network, limit)
    assert speed(network, settings).interval <= limit
    assert least_multipliers(network, limit) == min(taken for cycles, taken in combinations if cycles <= limit)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1))
def test_the_frontier_holds_what_nothing_else_beats(pairs: list[tuple[int, int]]) -> None:
    intervals, taken = np.array(pairs).T
    frontier = Frontier.of(intervals, taken)
    beaten = [any(o != p and o[0] <= p[0] and o[1] <= p[1] for o in pairs) for p in pairs]
    kept = {pair for pair, lost in zip(pairs, beaten, strict=True) if not lost}
    assert list(zip(frontier.intervals, frontier.multipliers, strict=True)) == sorted(kept)
    assert [pairs[place] for place in frontier.choices] == sorted(kept)


def mixed(widths: tuple[int, int, int], stride: int) -> Network:
    chain = Chain(8, 8, 3)
    chain.same(widths[0], stride=stride)
    chain.same(widths[1])
    chain.pool(chain.shape(None)[0])
    chain.flatten()
    chain.dense(widths[2])
    chain.dense(5)
    return chain.network()


@given(st.tuples(*[st.integers(1, 12)] * 3), st.tuples(*[st.integers(1, 4)] * 3), st.integers(1, 2), st.integers(0, 12))
def test_a_divisor_of_the_channels_never_costs_more(
    fewer: tuple[int, int, int], times: tuple[int, int, int], stride: int, doublings: int
) -> None:
    before = mixed((fewer[0] * times[0], fewer[1] * times[1], fewer[2] * times[2]), stride)
    limit = 100 << doublings
    assert least_multipliers(mixed(fewer, stride), limit) <= least_multipliers(before, limit)


def test_a_prime_number_of_channels_may_cost_more() -> None:
    """Reuse factors have to divide: 127 inputs can be reused once or 127 times, 128 also 64 times."""

    def vectors(inputs: int) -> Network:
        chain = Chain(inputs)
        chain.dense(64)
        return chain.network()

    assert least_multipliers(vectors(128), 100) == 2 * 64
    assert least_multipliers(vectors(127), 100) == 127 * 64


def test_more_multipliers_are_never_slower() -> None:
    network = resnet8()
    budgets = [20, 50, 220, 1000, 5000, 20_000, 100_000]
    intervals = [latency_cycles(network, budget).interval for budget in budgets]
    assert intervals == sorted(intervals, reverse=True)
    assert intervals[-1] == 1156


def test_latency_follows_the_interval() -> None:
    fast, slow = latency_cycles(small_cnn(), 10_000), latency_cycles(small_cnn(), 100)
    assert fast.interval == 324
    assert fast.interval < fast.latency < slow.interval < slow.latency


def test_what_no_design_reaches_is_refused() -> None:
    with pytest.raises(TargetNotMetError, match="at least 5"):
        balanced(small_cnn(), 4)
    with pytest.raises(TargetNotMetError, match="the least is 324"):
        cheapest(small_cnn(), 323)


def test_settings_left_out_are_fully_unrolled() -> None:
    fastest = sum(choice.frontier.multipliers[0] for choice in all_choices(small_cnn()).values())
    assert total_multipliers(small_cnn(), {}) == fastest


def test_layers_with_a_choice_are_set() -> None:
    network = small_cnn()
    chosen = [layer.name for layer in network.layers if isinstance(layer, Convolution | Dense)]
    assert list(balanced(network, 200)) == chosen
