"""Several targets in one run: each the model that `compress` gives, misses as rows, a front in files."""

import json
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path

import pytest
from zoo import feeds

import optimise_onnx
from optimise_onnx.ir.errors import UsageError
from optimise_onnx.passes.base import Context
from optimise_onnx.tools import sweep as swept

from .conftest import Run, network

FRONT = ["--targets", "0.8x,0.5x,0.01x", "--data", "data.npz", "--labels", "label", "-o", "front", "--align", "1"]


def test_each_model_is_the_one_that_compress_gives(folder: Path, run: Callable[..., Run]) -> None:
    done = run("sweep", "in.onnx", *FRONT)
    assert (done.code, done.err) == (0, "")
    assert "not met" in done.out and "macs=0.01x cannot be reached" in done.out
    names = ["front.html", "front.json", "front.svg", "in-macs-0.50x.onnx", "in-macs-0.80x.onnx"]
    assert sorted(path.name for path in (folder / "front").iterdir()) == names
    run("compress", "in.onnx", "alone.onnx", "--target", "macs=0.5x", *FRONT[2:6], "--align", "1", "--no-cache")
    assert (folder / "alone.onnx").read_bytes() == (folder / "front" / names[3]).read_bytes()
    found = json.loads((folder / "front" / "front.json").read_text())
    assert [point["met"] for point in found["points"]] == [True, True, False]
    first, second, third = found["points"]
    assert second["share"] <= 0.5 < first["share"] <= 0.8 and second["cost"] == second["macs"]
    assert found["judged_by"] == "accuracy" and third["file"] is None and "cannot be reached" in third["why"]
    drawn = ElementTree.fromstring((folder / "front" / "front.svg").read_text())
    assert len([one for one in drawn.iter() if one.tag.endswith("}use")]) >= 3  # the original and two models
    assert "in-macs-0.50x.onnx" in (folder / "front" / "front.html").read_text()


@pytest.mark.usefixtures("folder")
def test_what_targets_share_is_done_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made = list[str]()
    plain = Context.remember

    def counting(self, name, graph, options, make, **more):  # type: ignore[no-untyped-def]
        return plain(self, name, graph, options, lambda: made.append(name) or make(), **more)

    monkeypatch.setattr(Context, "remember", counting)
    data = {"x": feeds(network(), 0, 32)["x"]}
    front = optimise_onnx.sweep(network(), targets=["macs=0.8x", "macs=0.6x"], data=data, align=1, cache=False)
    assert [point.report is not None and point.graph is not None for point in front.points] == [True, True]
    assert made.count("ranking") == made.count("curves") == 1


def test_nothing_met_is_a_missed_target(folder: Path, run: Callable[..., Run]) -> None:
    done = run("sweep", "in.onnx", "--targets", "0.002x,0.001x", "-o", "front")
    assert done.code == 4 and "none of the targets was met" in done.error
    assert sorted(path.name for path in (folder / "front").iterdir()) == ["front.html", "front.json", "front.svg"]


def test_targets_are_read() -> None:
    said = [str(target) for target in swept.parsed("0.9x, 0.5x,0.9x", "params")]
    assert said == ["params=0.9x", "params=0.5x"]
    assert [str(target) for target in swept.parsed("auto:3")] == ["macs=0.75x", "macs=0.5x", "macs=0.25x"]
    assert swept.parsed("latency=3ms")[0].quantity.name == "latency"


@pytest.mark.parametrize("wrong", ["", "auto:0", "auto:many", "auto:101", "macs=0.5x,params=0.5x", "0.5y"])
def test_targets_that_make_no_sense_are_refused(wrong: str) -> None:
    with pytest.raises(UsageError):
        swept.parsed(wrong)


def test_a_limited_loss_is_not_swept() -> None:
    with pytest.raises(UsageError, match="max_drop looks for one target"):
        optimise_onnx.sweep(network(), targets="0.5x", max_drop="1%")
