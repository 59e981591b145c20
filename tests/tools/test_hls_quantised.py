"""``hls`` on networks in QONNX's form: its C simulation gives what the qonnx package computes."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import pytest

import optimise_onnx
from tests.backends.hls import quantised
from tests.backends.hls.execution import execution

from .conftest import Run
from .hls_case import needs_gcc, needs_hls4ml


def pruned(model: onnx.ModelProto) -> onnx.ModelProto:
    """Take the channels of half the multiplications away."""
    result = optimise_onnx.compress(model, target="macs=0.5x", data={"x": quantised.on_grid(64)})
    return result.graph.to_model()


NETWORKS: dict[str, Callable[[], onnx.ModelProto]] = {
    "1 bit": partial(quantised.plain, 1),
    "2 bits": partial(quantised.plain, 2),
    "4 bits, scales of channels": partial(quantised.per_channel, True),
    "8 bits": partial(quantised.plain, 8),
    "residual": quantised.residual,
    "depthwise": quantised.separable,
    "pruned": lambda: pruned(quantised.residual()),
    "scales that are no powers of two": partial(quantised.per_channel, False),
}
COMMAND = ("hls", "in.onnx", "--project", "made", "--data", "data.npz", "--samples", "24", "--bits", "8")


def results(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return what the project is tested with, and what its C simulation gives."""
    data = folder / "made" / "hls" / "tb_data"
    given, found = (np.loadtxt(data / f"tb_{name}.dat") for name in ("input_features", "output_predictions"))
    form = (-1, quantised.SIDE, quantised.SIDE, 2)
    return given.reshape(form).transpose(0, 3, 1, 2).astype(np.float32), found


@needs_hls4ml
@needs_gcc
@pytest.mark.hls
@pytest.mark.parametrize("name", NETWORKS)
def test_the_project_gives_what_qonnx_computes(folder: Path, run: Callable[..., Run], name: str) -> None:
    """The command compares every bit of its emulator, whose results these are, with the C simulation.

    The model that it hands on, ``network.qonnx``, gives the same again.
    """
    model = NETWORKS[name]()
    onnx.save(model, folder / "in.onnx")
    np.savez(folder / "data.npz", x=quantised.on_grid(48))
    assert run(*COMMAND).code == 0
    given, found = results(folder)
    exact = "no powers" not in name  # else a bias of floats is cut to steps of 2**-14
    np.testing.assert_allclose(found, *execution(model, given), rtol=0, atol=0 if exact else 2.0**-14)
    handed_on = onnx.load(folder / "made" / "network.qonnx")
    np.testing.assert_allclose(found, *execution(handed_on, given), rtol=0, atol=0 if exact else 2.0**-14)


@needs_hls4ml
def test_types_can_be_left_out(folder: Path, run: Callable[..., Run]) -> None:
    b = quantised.Quantised("learned", opset=13)
    x = b.quant(b.relu(b.layer(b.picture(), 4, 8)), 4, 0.3, signed=False)
    onnx.save(b.model(b.scores(x, 8)), folder / "in.onnx")
    np.savez(folder / "data.npz", x=quantised.on_grid(48))
    found = run(*COMMAND, "--no-csim")
    assert found.code == 6 and "its scale 0.3 is no power of two (--recalibrate" in found.error
    found = run(*COMMAND, "--no-csim", "--recalibrate")
    assert found.code == 0 and "without what quantises its values (--recalibrate)" in found.out
