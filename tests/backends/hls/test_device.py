"""Hardware as a device: cycles at the original's multipliers, multipliers at its interval."""

import pytest
from oracle import graph_of
from zoo.builder import Builder

from optimise_onnx.backends.hls.cost.compare import operating_point
from optimise_onnx.backends.hls.cost.tradeoff import latency_cycles, least_multipliers, speed, total_multipliers
from optimise_onnx.backends.hls.device import Cycles, Multipliers
from optimise_onnx.backends.hls.lowering import lower
from optimise_onnx.ir.errors import LoweringError
from optimise_onnx.ir.graph import Graph
from optimise_onnx.passes.analysis.costs.quantities import quantities

CYCLES, MULTIPLIERS = quantities()["hls-latency"], quantities()["hls-multipliers"]


def network(width: int) -> Graph:
    b = Builder("hardware")
    x = b.input("x", ["N", 3, 8, 8])
    for _ in range(2):
        x = b.conv_relu(x, width)
    return graph_of(b.model(b.head(x)))


def test_cycles_at_the_originals_multipliers() -> None:
    device = Cycles.of(network(16), CYCLES)
    whole = lower(network(16))
    assert device.multipliers == total_multipliers(whole, operating_point(whole))
    before, after = device.times([network(16), network(8)])
    assert before == latency_cycles(whole, device.multipliers).latency
    assert after == latency_cycles(lower(network(8)), device.multipliers).latency < before


def test_multipliers_at_the_originals_interval() -> None:
    device = Multipliers.of(network(16), MULTIPLIERS)
    whole = lower(network(16))
    assert device.interval == speed(whole, operating_point(whole)).interval
    before, after = device.times([network(16), network(8)])
    assert after == least_multipliers(lower(network(8)), device.interval) < before


def test_layers_share_the_multipliers() -> None:
    device = Cycles.of(network(16), CYCLES)
    assert not device.separable and device.layers(network(16)) == {}
    assert device.forecast(network(16), [network(8)]).times([network(8)]) == device.times([network(8)])


def test_what_is_not_lowered_is_refused() -> None:
    b = Builder("gelu")
    with pytest.raises(LoweringError):
        Cycles.of(graph_of(b.model(b.gelu(b.conv(b.input("x", ["N", 3, 8, 8]), 8)))), CYCLES)
