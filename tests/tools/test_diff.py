"""What differs between two models, in a table, a page and a file."""

import json
from collections.abc import Callable
from pathlib import Path

from .conftest import Run


def test_a_compressed_model_differs_where_channels_went(folder: Path, run: Callable[..., Run]) -> None:
    run("compress", "in.onnx", "out.onnx", "--target", "macs=0.6x", "--data", "data.npz", "--labels", "label")
    found = run("diff", "in.onnx", "out.onnx", "--html", "d.html", "--json", "d.json", "--no-colour")
    assert (found.code, found.err) == (0, "") and "resized" in found.out and "3 gone" in found.out
    told = json.loads((folder / "d.json").read_text())
    assert sum(told["counts"].values()) == len(told["nodes"])
    gone = [node["op"] for node in told["nodes"] if node["kind"] == "gone"]
    assert set(gone) == {"BatchNormalization"}
    page = (folder / "d.html").read_text()
    assert page.count('role="img"') == 3 and "BatchNormalization" in page


def test_a_model_does_not_differ_from_itself(run: Callable[..., Run]) -> None:
    found = run("diff", "in.onnx", "in.onnx")
    assert found.code == 0 and "of the same shape" in found.out and "resized" not in found.out
