"""``hls`` on networks of gates, larger maps, curves and time steps: all bits are those of the C simulation."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from zoo import feeds
from zoo.builder import Builder

from .conftest import Run
from .hls_case import needs_gcc, needs_hls4ml

pytestmark = [pytest.mark.hls, needs_hls4ml, needs_gcc]


def gates() -> onnx.ModelProto:
    """A squeeze-and-excitation gate, SiLU, and HardSwish."""
    b = Builder("gates")
    x = b.node("HardSwish", [b.conv(b.input("x", ["N", 2, 6, 4]), 4)])
    b.declare(x, ["N", 4, 6, 4])
    x = b.mul(x, b.node("HardSigmoid", [b.conv(b.relu(b.conv(b.gap(x), 2, 1)), 4, 1)]))
    x = b.conv(x, 3)
    return b.model(b.head(b.mul(x, b.sigmoid(x)), 3))


def decoder() -> onnx.ModelProto:
    """Down and up again, by ConvTranspose and by Resize, joined with what came before."""
    b = Builder("decoder")
    x = b.conv_relu(b.input("x", ["N", 2, 6, 4]), 3)
    low = b.conv_relu(b.max_pool(x), 4)
    y = b.concat(b.conv_transpose(low, 3), x)
    z = b.node("Resize", [low, "", b.const(np.array([1, 1, 2, 2], np.float32))], mode="nearest")
    b.declare(z, ["N", 4, 6, 4])
    return b.model(b.conv(b.concat(y, z), 2, 1))


def curves() -> onnx.ModelProto:
    """Hardtanh, Elu, Softplus, Selu and Softsign, one behind the other."""
    b = Builder("curves")
    x = b.conv(b.input("x", ["N", 2, 6, 4]), 4)
    x = b.conv(b.declare(b.node("Clip", [x, b.const(np.float32(-1)), b.const(np.float32(1))]), ["N", 4, 6, 4]), 4)
    for op in ("Elu", "Softplus", "Selu", "Softsign"):
        x = b.conv(b.declare(b.node(op, [x]), ["N", 4, 6, 4]), 4, 1)
    return b.model(x)


def steps() -> onnx.ModelProto:
    """Two dense layers at each of six time steps, and one over all of them."""
    b = Builder("steps")
    x = b.input("x", ["N", 6, 4])
    for taken, width in ((4, 5), (5, 2)):
        x = b.relu(b.node("MatMul", [x, b.const(b.uniform([taken, width], -1, 1))]))
    b.declare(x, ["N", 6, 2])
    return b.model(b.gemm(b.reshape(x, -1, 12), 3))


def sides() -> onnx.ModelProto:
    """A picture and a vector, joined in the end."""
    b = Builder("sides")
    x = b.flatten(b.gap(b.conv_relu(b.input("x", ["N", 2, 6, 4]), 4)))
    return b.model(b.gemm(b.concat(x, b.relu(b.gemm(b.input("y", ["N", 5]), 3))), 3))


@pytest.mark.parametrize("io_type", ["io_stream", "io_parallel"])
@pytest.mark.parametrize("make", [gates, decoder, curves, steps, sides])
def test_all_bits(folder: Path, run: Callable[..., Run], make: Callable[[], onnx.ModelProto], io_type: str) -> None:
    model = make()
    onnx.save(model, folder / "in.onnx")
    np.savez(folder / "data.npz", **feeds(model, 0, 64))
    given = ("hls", "in.onnx", "--project", "made", "--data", "data.npz", "--samples", "32", "--bits", "12")
    found = run(*given, "--io-type", io_type)
    assert found.code == 0 and "0 LSB: all bits equal" in found.out, found.err
    checks = json.loads((folder / "made" / "report.json").read_text())["checks"]
    (output,) = checks["emulator_against_onnxruntime"]["outputs"].values()
    assert output["relative_rms_error"] < 0.03
    assert checks["qonnx_against_emulator"]["largest_lsb"] == 0 or make in (gates, curves)  # these look up tables
