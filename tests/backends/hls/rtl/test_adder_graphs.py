"""Adder graphs: they compute the product, groups share nothing, and their estimated area is what synthesis finds."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from optimise_onnx.backends.hls.adder_graphs import BLOCK_WEIGHTS, MAX_WEIGHTS, estimate, layer_kernel
from optimise_onnx.backends.hls.network import Convolution, Dense, Floats, Network
from optimise_onnx.backends.hls.precision import Types
from optimise_onnx.backends.hls.rtl.design import build
from optimise_onnx.backends.hls.rtl.synthesise import synthesise

from . import made

KIND = Types(made.SUM, made.WEIGHT, made.SUM, made.SUM)


def alone(size: made.Pair, channels: int = 2, pads: made.Pads = made.NONE) -> made.Made:
    x = made.image((8, 8, channels))
    return Network((x, made.conv("c", x, size, pads=pads)), ("c",)), {"x": Types(made.BYTE), "c": KIND}


@pytest.mark.rtl
def test_the_graph_is_the_product() -> None:
    network, types = alone((3, 3))
    layer = network.by_name["c"]
    assert isinstance(layer, Convolution)
    kernel = layer_kernel(layer, types)
    values = made.bytes_for(network, 1).reshape(-1)[:18]
    whole = np.asarray(kernel.sums(values), np.float64) * made.WEIGHT.step
    np.testing.assert_array_equal(whole, values @ layer.kernel.reshape(18, 3) + layer.bias)


@pytest.mark.rtl
def test_the_same_kernel_is_searched_once() -> None:
    network, types = alone((3, 3))
    assert layer_kernel(network.by_name["c"], types) is layer_kernel(alone((3, 3))[0].by_name["c"], types)


@pytest.mark.rtl
def test_groups_add_up() -> None:
    network, types = alone((3, 3))
    one = network.by_name["c"]
    assert isinstance(one, Convolution)
    kernel = np.zeros((3, 3, 4, 6))
    kernel[:, :, :2, :3] = kernel[:, :, 2:, 3:] = one.kernel
    two = replace(one, kernel=kernel, bias=np.tile(one.bias, 2), shape=(6, 6, 6))
    (single,), (double,) = (
        estimate(Network((made.image((8, 8, c)), layer), ("c",)), types).values() for c, layer in ((2, one), (4, two))
    )
    assert (double.lut, double.depth) == (2 * (single.lut or 0), single.depth)


def wide(weight: Floats) -> tuple[Network, dict[str, Types]]:
    """Return one dense layer."""
    rows, columns = weight.shape
    dense = Dense("d", ("x",), (columns,), "d", weight, np.zeros(columns))
    return Network((made.image((rows,)), dense), ("d",)), {"x": Types(made.BYTE), "d": KIND}


@pytest.mark.rtl
def test_a_large_kernel_is_searched_block_by_block() -> None:
    weight = np.random.default_rng(0).integers(-1, 2, (BLOCK_WEIGHTS // 40, 80)) / 2.0
    network, types = wide(weight)
    halves = [estimate(*wide(half))["d"].lut or 0 for half in np.split(weight, 2, axis=1)]
    assert estimate(network, types)["d"].lut == sum(halves) > 0
    values = made.bytes_for(network, 1).reshape(-1)
    whole = np.asarray(layer_kernel(network.by_name["d"], types).sums(values), np.float64) * made.WEIGHT.step
    np.testing.assert_array_equal(whole, values @ weight)


@pytest.mark.rtl
def test_too_large_a_kernel_is_not_estimated() -> None:
    cost = estimate(*wide(np.full((100, MAX_WEIGHTS // 100 + 1), 0.5)))["d"]
    assert (cost.lut, cost.depth, cost.reason) == (None, None, f"{MAX_WEIGHTS + 100} weights, over {MAX_WEIGHTS}")


@pytest.mark.rtl
@pytest.mark.area
def test_the_estimate_is_near_synthesis(folder: Path) -> None:
    network, types = alone((3, 3), 6, (1, 1, 1, 1))
    found = synthesise(build(network, types, folder))
    estimated = estimate(network, types)["c"].lut or 0
    assert estimated <= found.total.lut <= 1.25 * estimated
    assert found.layers["c"].ff > 0
    assert found.total.lutram > 0
    assert (found.total.bram, found.total.dsp) == (0, 0)
