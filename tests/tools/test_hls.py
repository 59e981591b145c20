"""``hls``: what is refused leaves nothing, what is written is proved, and the report says what came of it."""

import json
import re
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnx
import pytest
from zoo import feeds
from zoo.builder import Builder

import optimise_onnx
from optimise_onnx.backends.hls.emulator import Emulator
from optimise_onnx.backends.hls.lowering.operators import HINTS, OPERATORS
from optimise_onnx.backends.hls.network import Floats
from optimise_onnx.backends.hls.project import Project
from optimise_onnx.ir.errors import UsageError
from optimise_onnx.tools.hls import handover
from optimise_onnx.tools.hls.settings import Settings

from .conftest import Run
from .hls_case import BITS, FILES, HLS, model, needs_gcc, needs_hls4ml, place

__all__ = ["place"]

MADE = {"hls", "hls.tar.gz", "network.onnx", "network.qonnx", "project.json", "report.json", "report.md", "source.onnx"}


@pytest.fixture
def simulated(monkeypatch: pytest.MonkeyPatch) -> list[Floats]:
    """Let the emulator stand in for the C simulation, which takes seconds; return what it was given."""
    given: list[Floats] = []
    made: list[Emulator] = []

    class Kept(Emulator):
        def __init__(self, *both: object) -> None:
            super().__init__(*both)  # type: ignore[arg-type]
            made.append(self)

    def simulate(_: Project, samples: Floats) -> dict[str, Floats]:
        given.append(samples)
        return made[-1].run(samples)

    monkeypatch.setattr(handover, "Emulator", Kept)
    monkeypatch.setattr(handover, "simulate", simulate)
    return given


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--bits", "8", "--max-error", "0.1"), "exclude each other"),
        (("--bits", "8,10,12"), "bits '8,10,12' are no widths"),
        (("--bits", "1"), "no widths"),
        (("--max-error", "2"), "no share"),
        (("--backend", "Vits"), "there is no backend 'Vits' (one of Vitis, "),
        (("--io-type", "stream"), "there is no io-type"),
        (("--strategy", "fast"), "there is no strategy"),
        (("--reuse", "some"), "reuse 'some' is no factor"),
        (("--layer", "conv_0"), "layer 'conv_0' is no wish (write NAME:bits=8,4,reuse=16"),
        (("--layer", "conv_0:bits=8,width=3"), "is no wish"),
        (("--layer", "conv_0:bits=40"), "bits '40' are no widths"),
        (("--layer", "conv_0:reuse=0"), "reuse '0' is no factor"),
        (("--layer", "conv_0:strategy=quick"), "there is no strategy 'quick' (one of latency, "),
        (("--layer", "conv_0:strategy=distributed_arithmetic,reuse=2"), "reuses none"),
        (("--layer", "conv_9:reuse=2"), "there is no layer 'conv_9' (one of conv_0, relu_0, "),
        (("--layer", "relu_0:reuse=2"), "layer 'relu_0' has no weights to share multipliers for"),
        (("--backend", "Quartus", "--layer", "x:strategy=distributed_arithmetic"), "no distributed arithmetic for"),
        (("--hls-config", "no.yml"), "cannot read 'no.yml' as a configuration of hls4ml"),
        (("--hls-config", "in.onnx"), "cannot read 'in.onnx' as a configuration of hls4ml"),
        (("--strategy", "distributed_arithmetic", "--reuse", "2"), "reuses none"),
        (("--strategy", "distributed_arithmetic", "--backend", "Quartus"), "no distributed arithmetic for Quartus"),
        (("--clock", "0"), "no period"),
        (("--multipliers", "0"), "multipliers"),
        (("--labels", "label"), "need data"),
        (("--part", "xq9"), "how many multipliers 'xq9' has is not known here (give --multipliers, or --reuse)"),
    ],
)
def test_wrong_wishes(
    place: Path, run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], said: str
) -> None:
    monkeypatch.setattr(handover.projects, "load_hls4ml", lambda: None)
    found = run(*HLS, *options)
    assert found.code == 2 and said in found.error
    assert sorted(path.name for path in place.iterdir()) == FILES


def test_without_hls4ml_one_line_says_what_to_install(
    place: Path, run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "hls4ml", None)
    found = run(*BITS)
    assert (found.code, found.error) == (2, "hls4ml is not installed (pip install 'optimise-onnx[hls]')")
    assert sorted(path.name for path in place.iterdir()) == FILES


def test_without_a_compiler(place: Path, run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handover.projects, "load_hls4ml", lambda: None)
    monkeypatch.setattr(handover, "which", lambda _: None)
    assert "g++ is not installed (install it, or leave the proof out with --no-csim)" in run(*BITS).error


@pytest.mark.parametrize(
    ("op", "options", "said"),
    [
        ("Erf", (), "at Erf 'erf_0': hls4ml has no Erf (cut the network there"),
        ("Sigmoid", ("--backend", "Catapult"), "fills its tables in another way (choose Vitis or Vivado)"),
    ],
)
def test_what_hardware_cannot_hold_leaves_nothing(
    place: Path, run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch, op: str, options: tuple[str, ...], said: str
) -> None:
    monkeypatch.setattr(handover.projects, "load_hls4ml", lambda: None)
    onnx.save(model(op=op), place / "in.onnx")
    found = run(*BITS, *options)
    assert found.code == 6 and said in found.error
    assert sorted(path.name for path in place.iterdir()) == FILES


def test_folders_of_others_are_left_alone(place: Path, run: Callable[..., Run]) -> None:
    (place / "made").mkdir()
    (place / "made" / "thesis.txt").write_text("years of work")
    found = run(*BITS)
    assert found.code == 2 and "'made' holds something else than an HLS project" in found.error
    assert [path.name for path in (place / "made").iterdir()] == ["thesis.txt"]
    assert "the folder of 'no/where' does not exist" in run("hls", "in.onnx", "--project", "no/where").error


@needs_hls4ml
@needs_gcc
def test_a_project_and_its_report(place: Path, run: Callable[..., Run], simulated: list[Floats]) -> None:
    found = run(*BITS, "--multipliers", "20", "--json", "figures.json")
    assert (found.code, found.err) == (0, "")
    assert found.out.count("0 LSB: all bits equal") == 2 and "16 samples not used for calibration" in found.out
    assert "tier 1, analytic" in found.out and "at the end is left to the host" in found.out
    assert simulated[0].shape == (16, 6, 6, 2)
    plots = {"weights.png", "activations.png"} if find_spec("matplotlib") else set()
    assert {path.name for path in (place / "made").iterdir()} == MADE | plots
    assert (place / "made" / "source.onnx").read_bytes() == (place / "in.onnx").read_bytes()
    report = json.loads((place / "made" / "report.json").read_text())
    assert report == json.loads((place / "figures.json").read_text())
    assert report["checks"]["csim_against_emulator"] == {"samples": 16, "largest_lsb": 0}
    assert report["checks"]["qonnx_against_emulator"] == {"samples": 16, "largest_lsb": 0}
    (output,) = report["checks"]["emulator_against_onnxruntime"]["outputs"].values()
    assert 0 < output["rms_error"] < output["max_error"] < 0.2 and output["top_class_agreement"] > 0.7
    assert report["checks"]["emulator_against_onnxruntime"]["accuracy"].keys() == {"onnxruntime", "emulator"}
    assert report["tier1"]["multipliers"] <= 20 and report["calibration_samples"] == 24
    conv = report["layers"][1]
    assert conv["kind"] == "convolution" and conv["types"]["weight"].startswith("fixed<8,")
    assert conv["trace"]["saturated"] == 0 and 0 < conv["tier1"]["nonzeros"] <= conv["tier1"]["weights"] == 72
    assert "| relative error |" in (place / "made" / "report.md").read_text()


@needs_hls4ml
def test_a_wrong_bit_leaves_the_project_of_before(
    place: Path, run: Callable[..., Run], simulated: list[Floats], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handover, "which", lambda _: "g++")
    assert run(*BITS).code == 0
    before = {path: path.read_bytes() for path in (place / "made").rglob("*") if path.is_file()}
    right = handover.simulate
    monkeypatch.setattr(handover, "simulate", lambda *both: {n: v + 0.25 for n, v in right(*both).items()})
    found = run(*BITS, "--bits", "10")
    assert found.code == 5 and "LSB" in found.error and "80 of 80 results" in found.error
    assert {path: path.read_bytes() for path in (place / "made").rglob("*") if path.is_file()} == before
    assert sorted(path.name for path in place.iterdir()) == [*FILES, "made"]


@needs_hls4ml
def test_both_comparisons(place: Path, run: Callable[..., Run]) -> None:
    onnx.save(model(8), place / "before.onnx")
    found = run(*BITS, "--no-csim", "--compare", "before.onnx")
    assert found.code == 0 and "not run" in found.out
    assert "before.onnx against in.onnx (tier 1, analytic" in found.out
    assert "at equal interval" in found.out and "at equal multipliers" in found.out
    assert "note: nothing proves this project" in found.out
    report = json.loads((place / "made" / "report.json").read_text())
    assert report["comparison"]["multipliers_left"] < 0.7 and report["checks"]["csim_against_emulator"] is None
    other = Builder("other")
    onnx.save(other.model(other.head(other.input("y", ["N", 2, 6, 6]))), place / "before.onnx")
    assert run(*BITS, "--no-csim", "--compare", "before.onnx").code == 5


@needs_hls4ml
def test_without_data_and_without_plots(place: Path, run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("matplotlib", "matplotlib.figure"):
        monkeypatch.setitem(sys.modules, name, None)
    found = run(*HLS, "--no-csim", "--max-error", "0.1")
    assert found.code == 0 and "note: without --data ranges come from random inputs" in found.out
    assert "note: no plots: matplotlib is not installed" in found.out
    assert {path.name for path in (place / "made").iterdir()} == MADE


@needs_hls4ml
@pytest.mark.parametrize(("gain", "noted"), [(1, False), (9, True)])
def test_values_beyond_a_table(place: Path, run: Callable[..., Run], gain: int, noted: bool) -> None:
    """Softplus goes on rising where its table ends, at 8; nothing of the data is above 4."""
    b = Builder("steep")
    x = b.flatten(b.mul(b.input("x", ["N", 2, 6, 6]), b.const(np.float32(gain))))
    onnx.save(b.model(b.node("Softplus", [x])), place / "in.onnx")
    found = run(*BITS[:-2], "--bits", "10", "--no-csim")
    assert found.code == 0
    assert ("values leave the tables of softplus_0, whose results end there" in found.out) is noted


@needs_hls4ml
def test_two_inputs(place: Path, run: Callable[..., Run]) -> None:
    b = Builder("sides")
    x = b.flatten(b.gap(b.conv_relu(b.input("x", ["N", 2, 6, 6]), 4)))
    two = b.model(b.gemm(b.concat(b.relu(b.gemm(b.input("y", ["N", 5]), 3)), x), 3))
    onnx.save(two, place / "in.onnx")
    np.savez(place / "data.npz", label=np.arange(40) % 3, **feeds(two, 0, 40))
    assert run(*BITS, "--no-csim").code == 0
    checks = json.loads((place / "made" / "report.json").read_text())["checks"]
    assert checks["floating_point_against_onnxruntime"]["largest_difference"] < 1e-5
    assert checks["qonnx_against_emulator"]["largest_lsb"] == 0
    given = np.loadtxt(place / "made" / "hls" / "tb_data" / "tb_input_features.dat")
    assert given.shape == (16, 2 * 6 * 6 + 5)


@needs_hls4ml
def test_a_batch_that_the_model_fixes(place: Path, run: Callable[..., Run]) -> None:
    """The project takes one sample, and is compared with the model as it is."""
    fixed = model()
    for value in (*fixed.graph.input, *fixed.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 8
    onnx.save(fixed, place / "in.onnx")
    found = run(*BITS, "--no-csim")
    assert found.code == 0 and "16 samples not used for calibration" in found.out
    report = json.loads((place / "made" / "report.json").read_text())
    assert report["checks"]["floating_point_against_onnxruntime"]["largest_difference"] < 1e-5
    assert report["checks"]["emulator_against_onnxruntime"]["samples"] == 16


def rows(joined: bool) -> onnx.ModelProto:
    """One sample of six rows, without an axis of samples: they meet in a vector, or in their softmax."""
    b = Builder("rows")
    h = b.relu(b.matmul(b.input("x", [6, 10]), 8))
    return b.model(b.gemm(b.reshape(h, 1, 48), 5) if joined else b.softmax(b.matmul(h, 5), 0))


@needs_hls4ml
@pytest.mark.parametrize("joined", [True, False])
def test_a_first_axis_that_counts_no_samples(joined: bool, place: Path, run: Callable[..., Run]) -> None:
    onnx.save(rows(joined), place / "in.onnx")
    np.savez(place / "data.npz", x=np.zeros((240, 10), np.float32), label=np.zeros(240, int))
    found = run(*BITS, "--no-csim")
    assert found.code == 6 and "the first axis of the model does not count samples" in found.err
    assert "export it with one more axis in front" in found.err


@needs_hls4ml
def test_budgets_that_are_missed(place: Path, run: Callable[..., Run]) -> None:
    assert run(*BITS, "--no-csim", "--multipliers", "1").code == 4
    missed = run(*HLS, "--no-csim", "--max-error", "1e-9")
    assert missed.code == 4 and "20 bits do not reach" in missed.error
    assert sorted(path.name for path in place.iterdir()) == FILES


def test_inputs_do_not_lie_in_the_folder(place: Path) -> None:
    with pytest.raises(UsageError, match="lies in"):
        handover.check_place(place / "made", [place / "made" / "in.onnx"])


def test_the_guide_names_every_operator() -> None:
    guide = (Path(__file__).parents[2] / "docs" / "hls.md").read_text(encoding="utf-8")
    named = {op.rpartition(".")[2] for op in (*OPERATORS, *HINTS)}
    assert {op for op in named if not re.search(rf"\b{op}\b", guide)} == set()


def test_settings_by_layer() -> None:
    assert Settings.parse(bits="8,10").bits == (8, 10)
    assert Settings.parse(bits=12).bits == (12, 12)
    assert Settings.parse(reuse=4).reuse == 4 == Settings.parse(reuse="4").reuse


@needs_hls4ml
@needs_gcc
@pytest.mark.hls
@pytest.mark.hls_quick
def test_the_simulation_proves_a_network(place: Path) -> None:
    with np.load(place / "data.npz") as data:
        given = {"x": data["x"]}
    found = optimise_onnx.hls(place / "in.onnx", place / "made", data=given, samples=24, bits=8)
    assert found.report.checks.csim == 16 and (found.folder / "report.json").exists()
