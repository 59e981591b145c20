"""What no hardware is made of, and tools that are not there, are told clearly."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from optimise_onnx.backends.hls.calibrate import calibrated
from optimise_onnx.backends.hls.network import Layer, Network
from optimise_onnx.backends.hls.precision import Types
from optimise_onnx.backends.hls.rtl.design import Design, build
from optimise_onnx.backends.hls.rtl.synthesise import synthesise
from optimise_onnx.backends.hls.rtl.tools import run_tool
from optimise_onnx.ir.errors import LoweringError

from ..networks import curved, gated, samples, upsampled
from . import made

rtl = pytest.mark.rtl


def alone(layer: Layer, kind: Types) -> made.Made:
    x = made.image((8, 6, 2))
    return Network((x, layer), (layer.name,)), {"x": Types(made.BYTE), layer.name: kind}


@rtl
def test_a_curve_by_table(folder: Path) -> None:
    network, types = calibrated(curved(), samples(curved(), 16), 6, 8)
    with pytest.raises(LoweringError, match="no hardware can be made at sigmoid 's'") as caught:
        build(network, types, folder)
    assert caught.value.node_name == "s"


@rtl
@pytest.mark.parametrize(("make", "where"), [(gated, "Upsampling 'u'"), (upsampled, "Stuffing 'z'")])
def test_gates_and_larger_maps(make: Callable[[], Network], where: str, folder: Path) -> None:
    network, types = calibrated(make(), samples(make(), 16), 6, 8)
    with pytest.raises(LoweringError, match=f"no hardware can be made at {where}"):
        build(network, types, folder)


@rtl
def test_a_mean_over_pads(folder: Path) -> None:
    layer = made.pool("mean", made.image((8, 6, 2)), "average", (3, 3), (1, 1), (1, 1, 1, 1))
    with pytest.raises(LoweringError, match="average 'mean': means over padded windows"):
        build(*alone(layer, Types(made.RESULT, accumulator=made.SUM)), folder)


@rtl
def test_weights_off_their_grid(folder: Path) -> None:
    layer = made.conv("c", made.image((8, 6, 2)), (1, 1))
    off = replace(layer, kernel=np.full((1, 1, 2, 3), 0.3))
    with pytest.raises(LoweringError, match="Convolution 'c': its weights are not whole steps"):
        build(*alone(off, Types(made.RESULT, made.WEIGHT, made.SUM, made.SUM)), folder)


def test_a_missing_tool_names_its_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(LoweringError, match="yosys is not installed .on Debian: apt install yosys"):
        synthesise(Design(tmp_path, ("x",), ("y",), (), {}))


def test_a_tool_that_takes_too_long(tmp_path: Path) -> None:
    with pytest.raises(LoweringError, match="sleep took over 0.1 seconds"):
        run_tool(["sleep", "5"], "coreutils", tmp_path, 0.1)


def test_a_tool_that_fails_shows_its_words(tmp_path: Path) -> None:
    with pytest.raises(LoweringError, match="ended with code 2.*nowhere"):
        run_tool(["ls", "nowhere"], "coreutils", tmp_path, 10)
