"""Valid reuse factors against hls4ml's own backend, and multipliers against its loops and limits."""

from math import ceil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimise_onnx.backends.hls.cost.settings import Setting, buildable, multipliers, strategies, valid_reuse_factors
from optimise_onnx.backends.hls.network import Convolution, Dense
from optimise_onnx.backends.hls.style import Style
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


def test_a_depthwise_convolution_shares_multipliers_in_streams_of_two_backends() -> None:
    layer = depthwise(6)  # 3 x 3 x 6 products
    assert strategies(layer) == ("latency", "resource")
    assert valid_reuse_factors(layer).tolist() == [1, 2, 3, 6, 9, 18, 27, 54]
    assert buildable(layer, Setting(4, "resource")) == Setting(3, "resource")
    for style in (Style("Vitis", "io_parallel"), Style("Catapult"), Style("Quartus")):
        assert strategies(layer, style) == ("latency",)
        assert buildable(layer, Setting(3, "resource"), style) == Setting(1, "latency")


def test_a_parallel_convolution_is_not_reused_beyond_its_inputs() -> None:
    chain = Chain(8, 8, 2)
    chain.conv(4)
    layer, style = chain.network().layers[1], Style(io_type="io_parallel")
    assert valid_reuse_factors(layer, style=style).tolist() == [1, 2, 3, 6, 9, 18]
    assert buildable(layer, Setting(36, "resource"), style) == Setting(18, "resource")
    assert buildable(layer, Setting(36, "resource")) == Setting(36, "resource")
    assert valid_reuse_factors(dense(4, 2), style=style).tolist() == [1, 2, 4, 8]


@pytest.mark.parametrize("style", [Style(), Style("Vivado", "io_parallel"), Style("Quartus", adder_graphs=False)])
def test_no_layer_shares_multipliers_by_latency(style: Style) -> None:
    """Tools do not keep the interval that the latency strategy names at a reuse factor above 1."""
    for layer in (dense(6, 5), dense(80, 60), depthwise(4)):
        for strategy in set(strategies(layer, style)) - {"resource"}:
            assert valid_reuse_factors(layer, strategy, style).tolist() == [1]


def test_without_da4ml_a_large_layer_has_the_resource_strategy() -> None:
    assert strategies(dense(65, 64), Style(adder_graphs=False)) == ("resource",)
    assert (
        buildable(dense(4, 4), Setting(1, "distributed_arithmetic"), Style("Quartus", adder_graphs=False)) == Setting()
    )


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
