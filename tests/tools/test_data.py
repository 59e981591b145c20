"""Data as people have them, through the commands."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from optimise_onnx import __version__

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
