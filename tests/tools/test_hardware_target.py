"""``compress`` with hardware as its target, and what it says of it."""

import json
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest

from optimise_onnx.backends.ort import OrtRunner
from optimise_onnx.ir.graph import Graph
from optimise_onnx.passes.analysis.costs.target import Target
from optimise_onnx.tools.compression import baseline

from .conftest import Run

WHOLE = ("compress", "in.onnx", "-o", "out.onnx", "--report", "r.json", "--no-colour")


@pytest.mark.parametrize(("kind", "unit"), [("hls-latency", "cycles"), ("hls-multipliers", "multipliers")])
def test_a_share_of_the_original(kind: str, unit: str, folder: Path, run: Callable[..., Run]) -> None:
    found = run(*WHOLE, "--data", "data.npz", "--labels", "label", "--target", f"{kind}=0.7x")
    assert (found.code, found.err) == (0, "")
    assert "aimed at" in found.out and unit in found.out
    told = json.loads((folder / "r.json").read_text())["aim"]
    before, after = (Graph.of(onnx.load(folder / name)) for name in ("in.onnx", "out.onnx"))
    folded = baseline(before, OrtRunner())
    device = Target.parse(f"{kind}=0.7x").quantity.device(folded)
    assert device.times([folded, after]) == [told["before"], told["after"]]
    assert told["after"] <= 0.7 * told["before"]


def test_out_of_reach(folder: Path, run: Callable[..., Run]) -> None:
    found = run(*WHOLE, "--target", "hls-latency=0.01x")
    assert (found.code, found.out) == (4, "")
    assert "hls-latency=0.01x cannot be reached" in found.error
    assert not (folder / "out.onnx").exists()
