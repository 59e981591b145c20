"""``network.qonnx``: the qonnx package, and we, compute from it what the emulator gives."""

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from oracle import graph_of

from optimise_onnx.backends.hls.calibrate import calibrated
from optimise_onnx.backends.hls.emulator import Emulator
from optimise_onnx.backends.hls.lowering import lower
from optimise_onnx.backends.hls.network import Network
from optimise_onnx.backends.hls.qonnx import channels_first, qonnx
from optimise_onnx.backends.ort import OrtRunner
from optimise_onnx.ir.qonnx import DOMAIN

from .execution import execution
from .networks import MADE, curved, residual, samples, tabulated

EXACT = {name: make for name, make in MADE.items() if make not in (curved, tabulated)}


def written(make: Callable[[], Network], count: int = 12) -> tuple[onnx.ModelProto, np.ndarray, list[np.ndarray]]:
    """Return the model, inputs on the grid of the first type, and the emulator's results."""
    network, precision = calibrated(make(), samples(make(), 24), 6, 6)
    given = precision["x"].result.cast(samples(network, count, 1))
    values = Emulator(network, precision).run(given)
    wanted = [channels_first(values[name]) for name in network.outputs]
    return qonnx(network, precision), channels_first(given).astype(np.float32), wanted


@pytest.mark.parametrize("name", EXACT)
def test_we_compute_the_emulators_values(name: str) -> None:
    model, given, wanted = written(EXACT[name])
    session = OrtRunner(1).session(graph_of(model))
    for index, one in enumerate(given):
        for found, value in zip(session.run({"x": one[None]}).values(), wanted, strict=True):
            np.testing.assert_array_equal(found[0], value[index])


@pytest.mark.parametrize("name", EXACT)
def test_the_qonnx_package_computes_the_emulators_values(name: str) -> None:
    model, given, wanted = written(EXACT[name], 4)
    for found, value in zip(execution(model, given), wanted, strict=True):
        np.testing.assert_array_equal(found, value)


def test_tables_are_written_as_what_they_approximate() -> None:
    """Neighbouring entries of hls4ml's tables are up to 1 / 256 apart, and the types here have steps of 1 / 32."""
    model, given, wanted = written(curved)
    assert [node.op_type for node in model.graph.node if node.op_type in ("Sigmoid", "Tanh")] == ["Sigmoid", "Tanh"]
    session = OrtRunner(1).session(graph_of(model))
    found = np.concatenate([next(iter(session.run({"x": one[None]}).values())) for one in given])
    assert 0 < np.abs(found - wanted[0]).max() <= 1 / 32


def test_weights_and_rounded_results_stand_behind_quantisers() -> None:
    model, _, _ = written(residual)
    made = {node.output[0]: node for node in model.graph.node}
    for node in model.graph.node:
        if node.op_type in ("Conv", "MatMul"):
            assert made[node.input[1]].domain == DOMAIN
    attributes = [attribute for node in model.graph.node for attribute in node.attribute]
    rounding = {attribute.s for attribute in attributes if attribute.name == "rounding_mode"}
    assert rounding == {b"ROUND"}


def test_it_is_read_back_as_the_same_hardware() -> None:
    """What it is read as has no sum that is rounded before it is shifted, so types are wider, results the same."""
    model, given, wanted = written(residual)
    again = lower(graph_of(model))
    assert again.typed
    source = again.layers[0]
    network, precision = calibrated(again, source.port.to_layer(given), 6, 6)  # type: ignore[attr-defined]
    (found,) = Emulator(network, precision).run(source.port.to_layer(given)).values()  # type: ignore[attr-defined]
    np.testing.assert_array_equal(found, wanted[0])
