"""Bits that a design stores, and comparisons at an equal interval and at equal multipliers."""

from itertools import count
from pathlib import Path

import numpy as np
import pytest

from optimise_onnx.backends.hls.cost.compare import compare, operating_point, table
from optimise_onnx.backends.hls.cost.memory import Stream
from optimise_onnx.backends.hls.cost.report import cost
from optimise_onnx.backends.hls.cost.settings import Setting
from optimise_onnx.backends.hls.cost.tradeoff import balanced, cheapest, speed
from optimise_onnx.backends.hls.fixed import Fixed
from optimise_onnx.backends.hls.network import Layer, Network
from optimise_onnx.backends.hls.precision import Precision, Types
from tests.backends.hls.cost.chains import Chain, resnet8, small_cnn


def forked() -> Network:
    """An image whose convolution is read twice."""
    chain = Chain(6, 5, 2)
    skip = chain.conv(3, pads=(1, 1, 1, 1))
    chain.relu()
    chain.add(skip)
    return chain.network()


def types(network: Network) -> Precision:
    """Give the results of the layers 8, 9, 10, ... bits and their weights 4."""

    def of(layer: Layer, width: int) -> Types:
        return Types(Fixed(width, 1), Fixed(4, 1))

    return {layer.name: of(layer, width) for layer, width in zip(network.layers, count(8), strict=False)}


def test_bits_of_a_forked_network() -> None:
    network = forked()
    _, conv, relu, add = cost(network, {}, types(network)).layers
    assert conv.weight_bits == 3 * 3 * 2 * 3 * 4
    assert conv.line_buffer_bits == 2 * (5 + 2) * 2 * 8
    padding, result = Stream(2 * 8, 8 * 7), Stream(3 * 9, 6 * 5)
    assert conv.streams == (padding, result, result, result)
    assert relu.streams == (Stream(3 * 10, 30),)
    assert add.streams == ()


def test_streams_are_those_that_hls4ml_declares(tmp_path: Path) -> None:
    graph = pytest.importorskip("hls4ml.model.graph").ModelGraph
    model = {"Model": {"Precision": "fixed<16,6>", "ReuseFactor": 1, "Strategy": "Latency"}}
    options = {"OutputDir": str(tmp_path), "ProjectName": "p", "Part": "xc7z020clg400-1", "ClockPeriod": 5}
    settings = {"Backend": "Vitis", "IOType": "io_stream", "HLSConfig": model, **options}
    built = graph.from_layer_list(settings, forked_for_hls4ml(), inputs=["x"], outputs=["add3"])
    built.apply_flow(built.config.backend.get_default_flow())
    ports = [*built.get_input_variables(), *built.get_output_variables()]
    inner = [v for layer in built.get_layers() for v in layer.get_variables() if v not in ports]
    declared = [Stream(16 * v.shape[-1], int(v.pragma[1])) for v in inner]
    assert declared == [stream for layer in cost(forked(), {}).layers for stream in layer.streams]


def forked_for_hls4ml() -> list[dict[str, object]]:
    """Describe the layers of :func:`forked` to hls4ml."""
    last = {"data_format": "channels_last"}
    sizes = {"in_height": 6, "in_width": 5, "out_height": 6, "out_width": 5, "n_chan": 2, "n_filt": 3}
    window = {"filt_height": 3, "filt_width": 3, "stride_height": 1, "stride_width": 1}
    pads = {f"pad_{side}": 1 for side in ("top", "bottom", "left", "right")}
    stored = {"weight_data": np.ones((3, 3, 2, 3)), "bias_data": np.zeros(3)}
    floats = {"weight_quantizer": None, "bias_quantizer": None}
    convolution = {**last, **sizes, **window, **pads, **stored, **floats}
    return [
        {"class_name": "InputLayer", "name": "x", "input_shape": [6, 5, 2], **last},
        {"class_name": "Conv2D", "name": "conv1", "inputs": ["x"], "outputs": ["conv1"], **convolution},
        {
            "class_name": "Activation",
            "name": "relu2",
            "inputs": ["conv1"],
            "outputs": ["relu2"],
            "activation": "relu",
            "n_in": 90,
        },
        {"class_name": "Merge", "name": "add3", "inputs": ["relu2", "conv1"], "outputs": ["add3"], "op": "add"},
    ]


def test_without_a_precision_values_have_the_16_bits_of_hls4ml() -> None:
    found = cost(forked(), {})
    assert found.weight_bits == 54 * 16
    assert found.line_buffer_bits == 2 * 7 * 2 * 16
    assert found.stream_bits == (2 * 56 + 3 * 3 * 30 + 3 * 30) * 16


def test_pooling_keeps_rows_and_a_column_of_windows_needs_none() -> None:
    chain = Chain(6, 4, 5)
    chain.conv(5, size=(1, 3))
    chain.pool(2)
    _, conv, pool = cost(chain.network(), {}).layers
    assert conv.line_buffer_bits == 0
    assert pool.line_buffer_bits == 1 * 2 * 5 * 16


def test_an_image_read_twice_is_copied_from_its_port() -> None:
    chain = Chain(4, 4, 2)
    chain.relu()
    chain.add("x")
    image = cost(chain.network(), {}).layers[0]
    assert image.streams == (Stream(32, 16), Stream(32, 16))


def test_a_network_of_vectors_has_no_streams() -> None:
    chain = Chain(16)
    chain.dense(8)
    chain.relu()
    chain.dense(4)
    found = cost(chain.network(), {"dense1": Setting(4, "resource"), "dense3": Setting(2)})
    assert found.stream_bits == 0
    assert found.interval == 4
    assert found.multipliers == 32 + 16


def test_zeros_are_seen_apart() -> None:
    chain = Chain(4)
    chain.dense(2, np.array([[1.0, 0], [0, 0], [2, 0], [0, 3]]))
    found = cost(chain.network(), {})
    assert (found.layers[1].weights, found.nonzeros, found.multipliers) == (8, 3, 3)


def test_totals_agree_with_speed() -> None:
    network = resnet8()
    settings = balanced(network, 500)
    found, fast = cost(network, settings), speed(network, settings)
    assert (found.interval, found.latency) == (fast.interval, fast.latency)
    assert found.multipliers <= 500


def test_both_comparisons_hold_one_thing_equal() -> None:
    before, after = resnet8(16), resnet8(8)
    point = balanced(before, 800)
    found = compare(before, after, point)
    assert found.before == cost(before, point)
    assert found.equal_interval == cost(after, cheapest(after, found.before.interval))
    assert found.equal_interval.interval <= found.before.interval
    assert found.equal_multipliers.multipliers <= found.before.multipliers
    assert found.multipliers_left < 0.4
    assert found.interval_left < 0.5
    assert found.latency_left < 0.5


def test_nothing_changed_costs_the_same() -> None:
    network = small_cnn()
    found = compare(network, network)
    assert (found.multipliers_left, found.interval_left, found.latency_left) == (1, 1, 1)


@pytest.mark.parametrize(("width", "taken"), [(1, 184), (16, 220)])
def test_the_default_point_fits_a_small_device(width: int, taken: int) -> None:
    network = small_cnn(width)
    assert 0 < cost(network, operating_point(network)).multipliers <= taken


def test_more_layers_than_a_small_device_has_multipliers() -> None:
    chain = Chain(2)
    for _ in range(220 + 1):
        chain.dense(2)
    network = chain.network()
    assert cost(network, operating_point(network)).multipliers == 220 + 1


def test_rows_pair_layers_by_name() -> None:
    first, second = Chain(4), Chain(4)
    first.dense(4)
    first.dense(2)
    second.dense(3)
    second.relu()
    rows = table(cost(first.network(), {}), cost(second.network(), {}))
    assert [row.name for row in rows] == ["x", "dense1", "dense2", "relu2"]
    assert [row.before is None for row in rows] == [False, False, False, True]
    assert [row.after is None for row in rows] == [False, False, True, False]
