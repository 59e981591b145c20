"""``hls --layer`` and ``--hls-config``: what is asked of single layers."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import yaml
from oracle import graph_of
from zoo.builder import Builder

from optimise_onnx.backends.hls.cost.settings import Setting
from optimise_onnx.backends.hls.cost.tradeoff import total_multipliers
from optimise_onnx.backends.hls.lowering import lower
from optimise_onnx.backends.hls.network import Network
from optimise_onnx.ir.errors import TargetNotMetError, UsageError
from optimise_onnx.tools.hls.config_file import options
from optimise_onnx.tools.hls.settings import Settings

from .conftest import Run
from .hls_case import BITS, HLS, model, needs_gcc, needs_hls4ml, place

__all__ = ["place"]


@pytest.fixture
def network() -> Network:
    """Two convolutions and a dense layer."""
    b = Builder("three")
    x = b.conv_relu(b.conv_relu(b.input("x", ["N", 4, 8, 8]), 8), 8)
    return lower(graph_of(b.model(b.head(x, 8))))


def layers(folder: Path) -> dict[str, Any]:
    """The layers of the report, by name."""
    report = json.loads((folder / "made" / "report.json").read_text())
    return {layer["name"]: layer for layer in report["layers"]}


def test_one_layer_is_as_asked_and_the_others_keep_to_the_budget(network: Network) -> None:
    free = Settings.parse(multipliers=100).point(network)
    asked = Settings.parse(multipliers=100, layers=["conv_1:reuse=2,strategy=resource"])
    with pytest.raises(TargetNotMetError, match="100 multipliers are too few: the design needs at least 290"):
        asked.point(network)  # 288 of them for the 576 weights of this layer
    found = Settings.parse(multipliers=400, layers=["conv_1:reuse=2,strategy=resource"]).point(network)
    assert found["conv_1"] == Setting(2, "resource") != free["conv_1"]
    assert 290 < total_multipliers(network, found) <= 400


def test_later_wishes_hold_over_earlier_ones(network: Network) -> None:
    wishes = ["conv_1:reuse=2,strategy=latency", "conv_1:reuse=8"]
    found = Settings.parse(reuse=1, strategy="resource", layers=wishes).point(network)
    assert found == {
        "conv_0": Setting(1, "resource"),
        "conv_1": Setting(8, "latency"),
        "gemm_0": Setting(1, "resource"),
    }


def test_a_reuse_factor_within_a_limit(network: Network) -> None:
    """Of 288, 576 and 64 weights, each multiplier does 4 products."""
    assert {one.reuse for one in Settings.parse(reuse=4, multipliers=232).point(network).values()} == {4}
    with pytest.raises(TargetNotMetError, match="231 multipliers are too few: the design needs at least 232"):
        Settings.parse(reuse=4, multipliers=231).point(network)


@needs_hls4ml
def test_bits_of_one_layer(place: Path, run: Callable[..., Run]) -> None:
    wishes = ("--layer", "conv_0:bits=3,reuse=9", "--layer", "relu_0:bits=8,5")
    assert run(*BITS, "--no-csim", *wishes).code == 0
    found = layers(place)
    assert found["conv_0"]["types"]["weight"].startswith("fixed<3,")
    assert found["gemm_0"]["types"]["weight"].startswith("fixed<8,")
    assert found["relu_0"]["types"]["result"].startswith("ufixed<5,")
    assert (found["conv_0"]["tier1"]["reuse"], found["conv_0"]["tier1"]["multipliers"]) == (9, 8)


@needs_hls4ml
def test_bits_of_one_layer_stay_while_an_error_chooses_the_others(place: Path, run: Callable[..., Run]) -> None:
    given = (
        *HLS,
        "--no-csim",
        "--data",
        "data.npz",
        "--labels",
        "label",
        "--max-error",
        "0.05",
        "--layer",
        "conv_0:bits=15",
    )
    assert run(*given).code == 0
    found = layers(place)
    assert found["conv_0"]["types"]["weight"].startswith("fixed<15,")
    assert int(found["gemm_0"]["types"]["weight"][6:].split(",")[0]) < 12


@needs_hls4ml
def test_types_of_the_model_stay(folder: Path, run: Callable[..., Run]) -> None:
    b = Builder("typed", opset=13)
    parameters = [b.const(np.float32(0.25)), b.const(np.int8(0))]
    codes = b.node("QuantizeLinear", [b.input("x", ["N", 6]), *parameters])
    onnx.save(b.model(b.gemm(b.node("DequantizeLinear", [codes, *parameters]), 3)), folder / "in.onnx")
    found = run(*HLS, "--no-csim", "--bits", "8", "--layer", "x:bits=4")
    assert (found.code, found.error) == (
        2, "the model gives layer 'x' its types (leave the bits out, or give --recalibrate)"
    )  # fmt: skip


@needs_hls4ml
def test_a_project_is_made_again_from_its_configuration(place: Path, run: Callable[..., Run]) -> None:
    """Its widths, reuse factors and strategies; names of hls4ml's own nodes, such as a bias, are listed."""
    onnx.save(model(op="LeakyRelu"), place / "in.onnx")
    given = ("--layer", "conv_0:bits=5,6,reuse=9", "--clock", "4", "--part", "xc7z010clg400-1")
    assert run(*BITS, "--no-csim", *given).code == 0
    first = layers(place)
    config = place / "made" / "hls" / "hls4ml_config.yml"
    before = config.rename(place / "config.yml").read_text()
    again = run(*BITS[:-2], "--no-csim", "--hls-config", "config.yml")
    assert again.code == 0 and "no layer here is called" in again.out and "gemm_0_bias" in again.out
    assert config.read_text() == before and layers(place) == first


def test_what_a_configuration_says(tmp_path: Path) -> None:
    def read(text: str) -> dict[str, Any]:
        (tmp_path / "a.yml").write_text(text)
        return options(tmp_path / "a.yml")

    model = {"Precision": {"default": "ap_fixed<12,6>"}, "ReuseFactor": 4, "Strategy": "Resource"}
    named = {
        "fc1": {"Precision": {"weight": "fixed<6,1,RND,SAT>", "result": "auto"}, "ReuseFactor": 2},
        "act": {"Precision": "ufixed<7,0>"},
    }
    whole = {"Backend": "Vivado", "ClockPeriod": 5, "HLSConfig": {"Model": model, "LayerName": named}}
    found = read(yaml.safe_dump(whole))
    wishes = {wish.name: (wish.bits, wish.reuse, wish.strategy) for wish in found.pop("layers")}
    assert found == {"backend": "Vivado", "clock": 5, "bits": "12,12", "reuse": 4, "strategy": "resource"}
    assert wishes == {"act": ((7, 7), None, None), "fc1": ((6, None), 2, None)}
    for text, said in {
        "[1, 2]": "is no configuration of hls4ml",
        "a: [": "cannot read",
        "ClockPeriod: soon": "ClockPeriod of 'soon'",
        "HLSConfig: {LayerType: {Dense: {ReuseFactor: 2}}}": "settings by type of layer",
        "HLSConfig: {Model: {Strategy: Unrolled}}": "there is no strategy 'unrolled'",
    }.items():
        with pytest.raises(UsageError, match=said):
            read(text)


@needs_hls4ml
def test_types_that_are_too_wide(place: Path, run: Callable[..., Run]) -> None:
    (place / "a.yml").write_text("HLSConfig: {LayerName: {relu_0: {Precision: 'fixed<32,16>'}}}")
    found = run(*BITS, "--no-csim", "--hls-config", "a.yml")
    assert (found.code, found.error) == (2, "layer 'relu_0' is to have a type of 32 bits (2 to 20 are taken)")


def test_options_hold_over_a_configuration(tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_text("HLSConfig: {Model: {Precision: 'fixed<12,6>', ReuseFactor: 4}}\nPart: xc7z010")
    found = Settings.parse(config=tmp_path / "a.yml", reuse="auto")
    assert (found.bits, found.reuse, found.part) == ((12, 12), "auto", "xc7z010")
    assert Settings.parse(config=tmp_path / "a.yml", max_error=0.1).bits is None


@needs_hls4ml
@needs_gcc
@pytest.mark.hls
def test_layers_of_their_own_strategies_and_bits_are_proved(place: Path, run: Callable[..., Run]) -> None:
    given = ("--layer", "conv_0:bits=4,6,reuse=9,strategy=resource", "--layer", "gemm_0:bits=6,reuse=1")
    found = run(*BITS, *given, "--io-type", "io_stream")
    assert found.code == 0 and "0 LSB: all bits equal" in found.out
