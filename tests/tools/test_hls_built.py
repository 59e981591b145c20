"""``hls``: what layers are built with, for what, and where the project may lie."""

import json
import tomllib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from oracle import graph_of
from zoo.builder import Builder

from optimise_onnx.backends.hls import project as projects
from optimise_onnx.backends.hls.lowering import lower
from optimise_onnx.tools.hls import settings
from optimise_onnx.tools.hls.settings import Settings

from .conftest import Run
from .hls_case import BITS, model, needs_hls4ml, place

__all__ = ["place"]


def large() -> onnx.ModelProto:
    """A dense layer of 5,000 weights."""
    b = Builder("large")
    return b.model(b.gemm(b.input("x", ["N", 100]), 50))


def test_without_da4ml(place: Path, run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch) -> None:
    """What is asked for by name is refused by name; what is chosen is what is there."""
    monkeypatch.setattr(settings, "adder_graphs_installed", lambda: False)
    found = run(*BITS, "--strategy", "distributed_arithmetic")
    assert (found.code, found.error) == (
        2, "distributed arithmetic needs da4ml (pip install 'optimise-onnx[hls]')"
    )  # fmt: skip
    network = lower(graph_of(large()))
    assert {one.strategy for one in Settings.parse(multipliers=10_000).point(network).values()} == {"resource"}
    monkeypatch.setattr(settings, "adder_graphs_installed", lambda: True)
    point = Settings.parse(multipliers=10_000).point(network)
    assert {one.strategy for one in point.values()} == {"distributed_arithmetic"}


def test_the_extras_name_one_range_of_each_package() -> None:
    with (Path(__file__).parents[2] / "pyproject.toml").open("rb") as file:
        extras = tomllib.load(file)["project"]["optional-dependencies"]
    assert [text for text in extras["hls"] if text.startswith("da4ml")] == extras["rtl"]


def test_the_budget_is_that_of_the_part() -> None:
    network = lower(graph_of(large()))  # 5,000 weights
    assert Settings.parse().budget == 220 == Settings.parse(part="xc7z020clg400-1").budget
    assert (
        Settings.parse(backend="Quartus").budget == 1518 and Settings.parse(part="XCVU13P-flga2577-2-e").budget > 5000
    )
    assert {one.reuse for one in Settings.parse(part="xcvu13p-flga2577-2-e").point(network).values()} == {1}
    shared = Settings.parse().point(network)
    assert [(one.strategy, 5000 // one.reuse) for one in shared.values()] == [("resource", 200)]


@needs_hls4ml
def test_a_parallel_convolution_stays_within_what_is_computed_rightly(place: Path, run: Callable[..., Run]) -> None:
    """hls4ml's code for it is right up to kernel height x width x input maps, here 18; nothing else checks that."""
    found = run(*BITS, "--no-csim", "--io-type", "io_parallel", "--multipliers", "5")
    assert found.code == 0
    conv = json.loads((place / "made" / "report.json").read_text())["layers"][1]
    assert (conv["tier1"]["strategy"], conv["tier1"]["reuse"]) == ("resource", 18)
    assert run(*BITS, "--no-csim", "--io-type", "io_parallel", "--multipliers", "4").code == 4
    assert run(*BITS, "--no-csim", "--io-type", "io_parallel", "--reuse", "72").code == 0
    conv = json.loads((place / "made" / "report.json").read_text())["layers"][1]
    assert (conv["tier1"]["strategy"], conv["tier1"]["reuse"]) == ("resource", 18)


@needs_hls4ml
@pytest.mark.parametrize("backend", ["Vitis", "Quartus", "Catapult"])
def test_a_project_can_be_moved(
    place: Path, run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch, backend: str
) -> None:
    """Nothing in it names the folder that it was made in; converted again, it is written where it lies."""
    onnx.save(model(mean=False), place / "in.onnx")
    assert run(*BITS, "--no-csim", "--backend", backend).code == 0
    files = [file for file in (place / "made").rglob("*") if file.suffix not in {".gz", ".png", ".onnx"}]
    assert [file for file in files if file.is_file() and str(place).encode() in file.read_bytes()] == []
    moved = (place / "made").rename(place / "elsewhere")
    config = pytest.importorskip("yaml").safe_load((moved / "hls" / "hls4ml_config.yml").read_text())
    assert (config["OnnxModel"], config["OutputDir"]) == ("network.onnx", "hls")
    monkeypatch.chdir(moved)
    (moved / "hls" / "firmware" / "network.cpp").unlink()
    projects.load_hls4ml().converters.convert_from_config("hls/hls4ml_config.yml").write()
    assert (moved / "hls" / "firmware" / "network.cpp").exists() and not (place / "made").exists()


@needs_hls4ml
def test_the_budget_is_named(place: Path, run: Callable[..., Run]) -> None:
    found = run(*BITS, "--no-csim", "--part", "xc7z010clg400-1")
    assert "note: at most 80 multipliers, the DSP blocks of xc7z010clg400-1" in found.out
    assert "Part: xc7z010clg400-1" in (place / "made" / "hls" / "hls4ml_config.yml").read_text()
    found = run(*BITS, "--no-csim", "--reuse", "2", "--strategy", "latency")
    assert "tools do not keep the intervals of the latency strategy with reuse: conv_0, gemm_0" in found.out


@needs_hls4ml
def test_weights_stored_as_integers(place: Path, run: Callable[..., Run]) -> None:
    """The reference is what the model says, not the low-bit product that onnxruntime would put in its place."""
    b = Builder("stored", opset=13)
    weights = b.const(np.random.default_rng(0).integers(-127, 128, (72, 5)).astype(np.int8))
    scaled = b.node("DequantizeLinear", [weights, b.const(np.float32(0.01)), b.const(np.int8(0))])
    onnx.save(b.model(b.node("Gemm", [b.flatten(b.input("x", ["N", 2, 6, 6])), scaled])), place / "in.onnx")
    assert run(*BITS, "--no-csim").code == 0
    report = json.loads((place / "made" / "report.json").read_text())
    assert report["checks"]["floating_point_against_onnxruntime"]["largest_difference"] < 1e-5
