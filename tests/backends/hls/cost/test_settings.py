"""Valid reuse factors against hls4ml's own backend, and multipliers against its loops and limits."""

from math import ceil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimise_onnx.backends.hls.cost.settings import Setting, buildable, multipliers, strategies, valid_reuse_factors
from optimise_onnx.backends.hls.network import Convolution, Dense
from tests.backends.hls.cost.chains import Chain

SIZES = st.integers(1, 12)


def dense(inputs: int, outputs: int, zeros: int = 0) -> Dense:
    chain = Chain(inputs)
    weight = np.ones(inputs * outputs)
    weight[:zeros] = 0
    chain.dense(outputs, weight.reshape(inputs, outputs))
    (layer,) = chain.network().layers[1:]
    assert isinstance(layer, Dense)
    return layer


def depthwise(channels: int) -> Convolution:
    chain = Chain(8, 8, channels)
    chain.conv(channels, depthwise=True)
    (layer,) = chain.network().layers[1:]
    assert isinstance(layer, Convolution)
    return layer


@given(SIZES, SIZES)
def test_valid_factors_are_those_of_hls4ml(inputs: int, outputs: int) -> None:
    backend = pytest.importorskip("hls4ml").backends.get_backend("Vitis")
    found = valid_reuse_factors(dense(inputs, outputs)).tolist()
    assert found == backend.get_valid_reuse_factors(inputs, outputs)


def test_a_depthwise_convolution_has_the_latency_strategy_only() -> None:
    layer = depthwise(6)
    assert strategies(layer) == ("latency",)
    assert buildable(layer, Setting(3, "resource")) == Setting(3, "latency")


@given(SIZES, SIZES, st.data())
def test_multipliers_under_resource_are_the_trips_of_the_unrolled_loop(
    inputs: int, outputs: int, data: st.DataObject
) -> None:
    layer = dense(inputs, outputs)
    reuse = data.draw(st.sampled_from(valid_reuse_factors(layer).tolist()))
    per_cycle = [len(range(first, inputs * outputs, reuse)) for first in range(reuse)]  # w_index += rufactor
    assert {multipliers(layer, Setting(reuse, "resource"))} == set(per_cycle)


@given(SIZES, SIZES, st.integers(1, 20), st.data())
def test_multipliers_under_latency_keep_to_the_limit_that_hls4ml_sets(
    inputs: int, outputs: int, reuse: int, data: st.DataObject
) -> None:
    zeros = data.draw(st.integers(0, inputs * outputs))
    limit = ceil(inputs * outputs / reuse) - zeros // reuse
    assert limit - 1 <= multipliers(dense(inputs, outputs, zeros), Setting(reuse)) <= limit


def test_zeros_vanish_as_constants_and_not_in_memory() -> None:
    layer = dense(6, 4, zeros=18)
    assert multipliers(layer, Setting(2)) == 3
    assert multipliers(layer, Setting(2, "resource")) == 12


def test_a_large_layer_is_unrolled_as_an_adder_graph() -> None:
    assert strategies(dense(64, 64)) == ("latency", "resource")
    assert strategies(dense(65, 64)) == ("distributed_arithmetic", "resource")
    assert valid_reuse_factors(dense(65, 64), "distributed_arithmetic").tolist() == [1]


def test_an_affine_layer_multiplies_each_channel_at_once() -> None:
    chain = Chain(4, 4, 6)
    chain.affine()
    layer = chain.network().layers[1]
    assert strategies(layer) == ("latency",)
    assert valid_reuse_factors(layer, "latency").tolist() == [1]
    assert multipliers(layer, Setting()) == 6


def test_a_layer_without_weights_multiplies_nothing() -> None:
    chain = Chain(4, 4, 6)
    chain.relu()
    layer = chain.network().layers[1]
    assert multipliers(layer, Setting()) == 0
