"""The journeys of docs/journeys.md, typed as they stand there: files written, commands run, in an empty folder."""

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "journeys.md").read_text(encoding="utf-8")
JOURNEYS = dict(part.split("\n", 1) for part in PAGE.split("\n## ")[1:])
BLOCK = re.compile(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```', re.DOTALL | re.MULTILINE)
PIP = {"PIP_NO_INDEX": "1", "PIP_NO_DEPS": "1", "PIP_NO_BUILD_ISOLATION": "0", "PIP_QUIET": "1"}
"""The packages that a journey installs are there; what it makes itself is built with what is there."""


def typed(journey: str, folder: Path) -> str:
    """Write the files and run the commands of a journey, one block after another; return what they print."""
    site = folder / "site"
    environment = os.environ | PIP | {"PIP_TARGET": str(site), "PYTHONPATH": str(site)}
    environment["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    said = []
    for language, title, text in BLOCK.findall(JOURNEYS[journey]):
        if title:
            (folder / title).write_text(text, encoding="utf-8")
            continue
        assert language == "sh", text
        lines = [line for line in text.splitlines() if not re.match(r"pip install (?!\.$)", line)]
        done = subprocess.run(
            ["bash", "-euc", "\n".join(lines)], cwd=folder, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, f"{text}\n{done.stdout}{done.stderr}"
        said.append(done.stdout)
    return "".join(said)


@pytest.mark.skipif(find_spec("torch") is None or find_spec("onnxscript") is None, reason="needs torch and onnxscript")
def test_a_classifier_and_a_folder_of_images(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for kind, colour in (("cat", 60), ("dog", 180)):
        (tmp_path / "photos" / kind).mkdir(parents=True)
        for k in range(40):
            pixels = np.clip(rng.normal(colour, 40, (40, 48, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / kind / f"{k}.png")
    said = typed("Your own PyTorch classifier and a folder of images", tmp_path)
    assert "--data photos" in said and "--preprocess" in said  # what init prints
    assert (tmp_path / "smaller.html").stat().st_size > 10_000


def test_a_sweep_and_a_pick(tmp_path: Path) -> None:
    said = typed("Sweep, look, pick", tmp_path)
    assert re.search(r"macs=0\.\dx keeps 0\.\d+ and loses", said)
    assert (tmp_path / "picked.onnx").exists()


def test_a_criterion_and_a_rule(tmp_path: Path) -> None:
    assert "both are sound" in typed("A criterion and a rule of an operator", tmp_path)
    assert (tmp_path / "louder.onnx").exists()


def test_every_journey_is_typed() -> None:
    assert len(JOURNEYS) == sum(name.startswith("test_a_") for name in globals())
