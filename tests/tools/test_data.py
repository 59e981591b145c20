"""Data as people have them, through the commands."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from zoo.builder import Builder

from optimise_onnx import __version__, compress

from .conftest import SAMPLES, Run


def test_a_folder_of_images_with_classes(run: Callable[..., Run], folder: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    pixels = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 3), np.uint8)
    for number, each in enumerate(pixels):
        place = folder / "images" / str(number % 10)
        place.mkdir(parents=True, exist_ok=True)
        image.fromarray(each).save(place / f"{number}.png")
    given = ("compress", "in.onnx", "--dry-run", "--target", "macs=0.9x", "--data", "images")
    done = run(*given, "--preprocess", "-1-1", "--labels", "folder")
    assert done.code == 0 and "accuracy" in done.out
    refused = run(*given)
    assert refused.code == 3 and "--preprocess" in refused.error


def test_an_output_behind_the_input(run: Callable[..., Run], folder: Path) -> None:
    given = ("run", "in.onnx", "out.onnx", "--passes", "fold-constants")
    assert run(*given).code == 0 and (folder / "out.onnx").is_file()
    assert run(*given, "-o", "out.onnx").code == 0
    refused = run(*given, "-o", "other.onnx")
    assert refused.code == 2 and "two outputs are given: 'out.onnx' and 'other.onnx'" in refused.error
    refused = run("compress", "in.onnx", "in.onnx", "--target", "macs=0.9x")
    assert refused.code == 2 and "is the input" in refused.error
    missing = run("run", "in.onnx", "--passes", "fold-constants")
    assert missing.code == 2 and "no output is given" in missing.error


@pytest.mark.parametrize("command", [("verify", "in.onnx"), ("run", "out.onnx", "--passes", "fold-constants")])
def test_labels_are_left_aside_where_nothing_is_judged(
    command: tuple[str, ...], run: Callable[..., Run], folder: Path
) -> None:
    samples = np.load(folder / "data.npz")["x"]
    np.savez(folder / "labelled.npz", x=samples, y=np.zeros(len(samples), np.int64))
    given = (command[0], "in.onnx", *command[1:], "--data", "labelled.npz")
    assert "labels are named with --labels" in run(*given).error
    assert run(*given, "--labels", "y").code == 0
    assert run(*given, "--labels", "y", "--samples", "4").code == 0


def test_the_version(run: Callable[..., Run]) -> None:
    assert run("--version").out == f"optimise-onnx {__version__}\n"


def test_what_was_done_to_the_data_is_said(run: Callable[..., Run], folder: Path) -> None:
    np.save(folder / "x.npy", np.load(folder / "data.npz")["x"].astype(np.float64))
    for command in (
        ("verify", "in.onnx", "in.onnx"),
        ("run", "in.onnx", "-o", "out.onnx", "--passes", "fold-constants"),
    ):
        done = run(*command, "--data", "x.npy")
        assert done.code == 0
        assert "input 'x': float64 in the data, taken as float32" in done.out
    assert len(np.load(folder / "x.npy")) == SAMPLES


def network() -> onnx.ModelProto:
    """Two convolutions over images of any width, a state that is added and a factor."""
    b = Builder("lines")
    x = b.conv_relu(b.conv_relu(b.input("x", ["N", 3, 8, "W"]), 8), 12)
    started = b.reduce_sum(b.input("state", [2, "N", 5]), 0, keepdims=0)
    return b.model(b.mul(b.add(b.head(x, 5), started), b.input("factor", [])))


def test_lines_of_several_widths_with_a_state_and_a_constant() -> None:
    rng = np.random.default_rng(0)
    widths = [8 + 4 * (place % 3) for place in range(20)]
    data = [{"x": rng.normal(size=(1, 3, 8, width)).astype(np.float32), "factor": 2.0} for width in widths]
    found = compress(network(), target="macs=0.6x", data=data, inputs=["state=state"], align=1, tune="full")
    notes = "; ".join(found.report.notes)
    assert found.report.after.macs <= 0.6 * found.report.before.macs
    (agreement,) = found.report.fidelity.outputs.values()
    assert (found.report.calibration, agreement.samples) == (16, 4)
    for said in ("'factor': the same for all", "'state': samples lie along its axis 1", "several shapes", "no batch"):
        assert said in notes
