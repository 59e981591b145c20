"""Every word of the hardware against the emulator, its cycles against what the pixels alone demand."""

from pathlib import Path

import numpy as np
import pytest

from optimise_onnx.backends.hls.calibrate import calibrated
from optimise_onnx.backends.hls.emulator import Emulator
from optimise_onnx.backends.hls.network import Floats
from optimise_onnx.backends.hls.rtl.design import build
from optimise_onnx.backends.hls.rtl.measure import measure
from optimise_onnx.backends.hls.rtl.simulate import simulate
from optimise_onnx.ir.errors import LoweringError, VerificationError

from ..networks import MADE, samples
from . import made
from .clocks import interval, latency

pytestmark = pytest.mark.rtl
IMAGES = 4


def of_shared(name: str) -> tuple[made.Made, Floats]:
    network, types = calibrated(MADE[name](), samples(MADE[name](), 32), 6, 8)
    return (network, dict(types)), types["x"].result.cast(samples(network, IMAGES, 5))


def of_own(name: str) -> tuple[made.Made, Floats]:
    network, types = getattr(made, name)()
    return (network, types), made.bytes_for(network, IMAGES)


def case(name: str) -> tuple[made.Made, Floats]:
    return of_shared(name) if name in MADE else of_own(name)


@pytest.mark.parametrize("name", ["plain", "residual", "separable", "strided", "pools", "zeros"])
def test_words_and_cycles(name: str, folder: Path) -> None:
    (network, types), images = case(name)
    design = build(network, types, folder)
    found = simulate(design, {"x": images})
    for output, values in Emulator(network, types).run(images).items():
        np.testing.assert_array_equal(found.outputs[output], values)
    assert found.interval == interval(network)
    assert found.latency == latency(network, design.links, design.levels)


def test_waiting_changes_no_word(folder: Path) -> None:
    (network, types), images = case("residual")
    found = simulate(build(network, types, folder), {"x": images}, stalls=True)
    np.testing.assert_array_equal(found.outputs["d"], Emulator(network, types).run(images)["d"])
    assert found.interval > interval(network)


def test_fitted_links_cost_no_cycle(folder: Path) -> None:
    (network, types), images = case("residual")
    expected = Emulator(network, types).run(images)
    found = measure(network, types, {"x": images}, expected, folder, area=False)
    assert (found.latency, found.interval) == (164, 100)
    assert 0 < found.depths["r1_to_a1_1"] < 64


def test_fitted_links_let_layers_rest_at_different_times(folder: Path) -> None:
    (network, types), images = case("halves")
    expected = Emulator(network, types).run(images)
    found = measure(network, types, {"x": images}, expected, folder, area=False)
    assert found.interval == interval(network) == 80
    assert max(found.depths.values()) < 24


def test_a_wrong_word_is_told(folder: Path) -> None:
    (network, types), images = case("zeros")
    expected = Emulator(network, types).run(images)
    expected["one"][1, 0, 0, 0] += 1
    with pytest.raises(VerificationError, match="1 of 48 numbers of 'one' differ"):
        measure(network, types, {"x": images}, expected, folder, area=False)


def test_a_link_too_shallow_is_told(folder: Path) -> None:
    (network, types), images = case("residual")
    design = build(network, types, folder, {"r1_to_a1_1": 4})
    with pytest.raises(LoweringError, match="got stuck before output 'd': 0 words of 4"):
        simulate(design, {"x": images})
