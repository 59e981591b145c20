"""Every command that README.md and docs print runs as it stands there."""

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnx
import pytest
from parsing import PROGRAM, parse
from PIL import Image
from zoo.builder import Builder

from optimise_onnx.demo import load_samples, paths

ROOT = Path(__file__).parents[1]
TARGET_NOT_MET = 4  # such as a latency, which depends on the machine
NEEDS = {"model.keras": "keras", "build.py": "keras", " hls ": "hls4ml"}
IN_ORDER = "journeys.md"  # its blocks go on from each other: test_journeys.py types them through


def printed() -> list[tuple[str, Sequence[str]]]:
    """List the commands of each block in the documents, the documents' names beside them."""
    found = []
    for place in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        if place.name == IN_ORDER:
            continue
        blocks = re.findall(r"^```sh\n(.*?)^```", place.read_text(encoding="utf-8"), re.S | re.M)
        for block in blocks:
            lines = block.replace("\\\n", " ").splitlines()
            if commands := [line for line in lines if line.startswith(f"{PROGRAM} ")]:
                found.append((place.name, commands))
    return found


PRINTED = printed()
NAMES = [f"{name}: {commands[0].split()[1]}" for name, commands in PRINTED]


@pytest.fixture(params=PRINTED, ids=NAMES)
def block(request: pytest.FixtureRequest) -> Sequence[str]:
    commands: Sequence[str] = request.param[1]
    return commands


def test_every_command_and_option_exists(block: Sequence[str]) -> None:
    for line in block:
        parse(re.sub(r"\$\(.*?\)", "fold-constants", line))


@pytest.mark.printed
def test_every_command_runs(block: Sequence[str], tmp_path: Path) -> None:
    text = "\n".join(block)
    if missing := [name for word, name in NEEDS.items() if word in text and find_spec(name) is None]:
        pytest.skip(f"needs {', '.join(missing)}")
    if "--scheduler tcp://host:" in text:
        pytest.skip("needs a cluster of that name")
    given(tmp_path, text)
    folders = f"{tmp_path / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euc", text], cwd=tmp_path, env=os.environ | {"PATH": folders}, capture_output=True, text=True
    )
    assert done.returncode in (0, TARGET_NOT_MET), done.stderr


def given(folder: Path, text: str) -> None:
    """Write what commands name: models, samples, images, and a board that says how long a model takes."""
    samples = load_samples()
    labelled = {"image": samples.test_image, "label": samples.test_label}
    images = np.concatenate([samples.calibration, samples.test_image])
    np.savez(folder / "samples.npz", **labelled if "--labels label" in text else {"image": images})
    for name in ("digits.onnx", "in.onnx", "model.onnx", "smaller.onnx"):
        (folder / name).write_bytes(paths()[0].read_bytes())
    if "-c door.yaml" in text:
        (folder / "door.yaml").write_text("version: 1\ntarget: macs=0.9x\ndata: samples.npz\n")
    if "replay out.json" in text:
        words = "compress model.onnx -o out.onnx --target macs=0.9x --data samples.npz --report out.json -q --no-guard"
        subprocess.run([Path(sys.executable).with_name(PROGRAM), *words.split()], cwd=folder, check=True)
    if "imagenet" in text:
        onnx.save(coloured(), folder / "model.onnx")
        pictures(folder / "photos")
    quantised(folder / "model_int8.onnx", samples.calibration[:64])
    (folder / "bin").mkdir()
    (folder / "bin" / "ssh").write_text("#!/bin/sh\necho 2.5\n")
    (folder / "bin" / "ssh").chmod(0o755)


def coloured() -> onnx.ModelProto:
    b = Builder("coloured")
    return b.model(b.head(b.conv_relu(b.conv_relu(b.input("image", ["N", 3, 32, 32]), 16), 16), 2))


def pictures(folder: Path) -> None:
    rng = np.random.default_rng(0)
    for place in (folder / "cats", folder / "dogs"):
        place.mkdir(parents=True)
        for i in range(20):
            Image.fromarray(rng.integers(0, 256, (40, 40, 3), np.uint8)).save(place / f"{i}.png")


def quantised(place: Path, images: np.ndarray) -> None:
    quantization = pytest.importorskip("onnxruntime.quantization")

    class Reader(quantization.CalibrationDataReader):  # type: ignore[misc, name-defined]
        left = [{"image": images}]

        def get_next(self) -> dict[str, np.ndarray] | None:
            return self.left.pop() if self.left else None

    quantization.quantize_static(paths()[0], place, Reader(), quantization.QuantFormat.QDQ)
