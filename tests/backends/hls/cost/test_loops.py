"""Intervals and latency against the templates' loops, run pixel by pixel with their own counters."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimise_onnx.backends.hls.cost.loops import SHUFFLE_CYCLES, complete, interval, packs
from optimise_onnx.backends.hls.cost.settings import Setting, Strategy, multipliers
from optimise_onnx.backends.hls.cost.timeline import latency, run
from optimise_onnx.backends.hls.network import Convolution, Network
from tests.backends.hls.cost.chains import Chain, resnet8, small_cnn
from tests.backends.hls.networks import Maker

SMALL = st.integers(1, 3)


def windows(height: int, width: int, size: tuple[int, int], strides: tuple[int, int]) -> list[bool]:
    """Say for each pixel whether ``compute_output_buffer_2d`` multiplies, with its four counters."""
    found = []
    row_stride = 0
    for row in range(height):
        column_stride = 0
        for column in range(width):
            full = row_stride == size[0] - 1 and column_stride == size[1] - 1
            found.append(full and row > size[0] - 2 and column > size[1] - 2)
            column_stride = column_stride - strides[1] + 1 if column_stride == size[1] - 1 else column_stride + 1
        row_stride = row_stride - strides[0] + 1 if row_stride == size[0] - 1 else row_stride + 1
    return found


@st.composite
def convolutions(draw: st.DrawFn) -> Network:
    size = draw(st.tuples(SMALL, SMALL))
    chain = Chain(draw(st.integers(3, 7)), draw(st.integers(3, 7)), draw(SMALL))
    chain.conv(draw(SMALL), size, draw(st.tuples(SMALL, SMALL)), draw(st.tuples(*[st.integers(0, 2)] * 4)))
    return chain.network()


def trips(network: Network, setting: Setting) -> list[int]:
    """List the cycles of each trip of a convolution's loop over the pixels."""
    image, layer = network.layers
    assert isinstance(layer, Convolution)
    height = layer.pads[0] + image.shape[0] + layer.pads[2]
    width = layer.pads[1] + image.shape[1] + layer.pads[3]
    whole = windows(height, width, layer.kernel.shape[:2], layer.strides)
    if setting.strategy == "resource":
        return [SHUFFLE_CYCLES + sum(1 for _ in range(setting.reuse)) if full else 1 for full in whole]
    return [setting.reuse for _ in whole]


@given(convolutions(), st.integers(1, 9), st.sampled_from(["latency", "resource", "distributed_arithmetic"]))
def test_a_convolution_takes_the_cycles_of_its_loop(network: Network, reuse: int, strategy: Strategy) -> None:
    setting = Setting(reuse, strategy)
    assert interval(network.layers[1], setting, network, packs(network)) == sum(trips(network, setting))


@given(convolutions())
def test_as_many_windows_are_complete_as_there_are_results(network: Network) -> None:
    image, layer = network.layers
    assert isinstance(layer, Convolution)
    whole = complete(layer, image.shape)
    assert whole.ravel().tolist() == windows(*whole.shape, layer.kernel.shape[:2], layer.strides)
    assert whole.sum() == np.prod(layer.shape[:2])


@given(convolutions(), st.integers(1, 9), st.sampled_from(["latency", "resource"]))
def test_latency_is_that_of_the_loop_run_word_by_word(network: Network, reuse: int, strategy: Strategy) -> None:
    setting = Setting(reuse, strategy)
    image, layer = network.layers
    assert isinstance(layer, Convolution)
    top, left, _, right = layer.pads
    width = left + image.shape[1] + right
    whole = windows(top + image.shape[0] + layer.pads[2], width, layer.kernel.shape[:2], layer.strides)
    clock, read, last = 0, 0, 0
    for place, cycles in enumerate(trips(network, setting)):
        row, column = place // width - top, place % width - left
        if 0 <= row < image.shape[0] and 0 <= column < image.shape[1]:
            read += 1
            clock = max(clock, read)
        clock += cycles
        last = clock if whole[place] else last
    assert latency(network, {layer.name: setting}) == last


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(1, 9)), min_size=1))
def test_a_trip_waits_for_its_word_and_for_the_trip_before(pairs: list[tuple[int, int]]) -> None:
    arrivals, cycles = np.array(pairs).T
    clock, ends = 0, []
    for arrival, taken in pairs:
        clock = max(clock, arrival) + taken
        ends.append(clock)
    assert run(arrivals, cycles).tolist() == ends


def test_pooling_and_elementwise_layers_take_a_cycle_a_pixel() -> None:
    chain = Chain(6, 4, 5)
    chain.relu()
    chain.affine()
    chain.pool(2)
    network = chain.network()
    counts = packs(network)
    assert [interval(layer, Setting(), network, counts) for layer in network.layers] == [24, 24, 24, 24]


def test_larger_maps_take_a_cycle_for_each_of_their_pixels_and_gates_a_multiplier_for_each_channel() -> None:
    net = Maker((3, 4, 2))
    net.repeat("u", "x", 2, 3)
    net.stuff("z", "x", 2, 3)
    net.multiply("m", "u", "z")
    network = net.network("m")
    counts = packs(network)
    assert [interval(layer, Setting(), network, counts) for layer in network.layers] == [12, 72, 72, 72]
    assert [multipliers(layer, Setting()) for layer in network.layers] == [0, 0, 0, 2]
    assert latency(network, {}) == 4 + 72 + 1  # a row is read before it is repeated; then comes the product


def test_a_dense_layer_gathers_a_flattened_map_word_by_word() -> None:
    chain = Chain(3, 2, 5)
    chain.flatten()
    chain.dense(4)
    chain.dense(2)
    network = chain.network()
    counts = packs(network)
    assert list(counts.values()) == [6, 6, 1, 1]
    assert [interval(layer, Setting(10), network, counts) for layer in network.layers] == [6, 0, 16, 10]
    assert latency(network, {"dense2": Setting(10), "dense3": Setting(10)}) == 7 + 10 + 10


@pytest.mark.parametrize(
    ("network", "cycles", "measured"), [(small_cnn(), 324, 374), (small_cnn(4), 324, 370), (resnet8(), 1156, 1394)]
)
def test_fully_unrolled_networks_against_simulated_hardware(network: Network, cycles: int, measured: int) -> None:
    """Streams of the same architecture in Verilog, run in Verilator, took as long as ``measured``."""
    counts = packs(network)
    assert max(interval(layer, Setting(), network, counts) for layer in network.layers) == cycles
    assert latency(network, {}) == pytest.approx(measured, rel=0.06)
