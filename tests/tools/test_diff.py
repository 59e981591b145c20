"""What differs between two models, and what is known of one layer, in words, pages and files."""

import json
from collections.abc import Callable
from pathlib import Path

from oracle import graph_of
from zoo import ZOO

from optimise_onnx.tools.layers import layer_lines

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


def test_two_models_of_one_name_are_told_apart(folder: Path, run: Callable[..., Run]) -> None:
    (folder / "other").mkdir()
    (folder / "other" / "in.onnx").write_bytes((folder / "in.onnx").read_bytes())
    assert run("diff", "in.onnx", "other/in.onnx", "--html", "d.html").code == 0
    assert "other/in.onnx" in (folder / "d.html").read_text()


def test_explain_says_what_ties_a_layer_and_how_sensitive_it_is(folder: Path, run: Callable[..., Run]) -> None:
    asked = ("--target", "macs=0.6x", "--data", "data.npz", "--labels", "label", "--report", "out.json", "--no-guard")
    assert run("compress", "in.onnx", "out.onnx", *asked).code == 0
    layers = json.loads((folder / "out.json").read_text())["layers"]
    found = run("explain", "in.onnx", layers[1]["name"], "--report", "out.json", "--json", "e.json")
    assert (found.code, found.err) == (0, "") and "where half of it goes alone" in found.out
    (told,) = json.loads((folder / "e.json").read_text())["sensitivity"]
    assert 1 <= told["rank"] <= told["groups"] and 0 <= told["half"] <= told["whole"]
    assert "has no tensor and no node" in run("explain", "in.onnx", "nothing").error


def test_weights_that_are_stored_as_codes_count_at_their_layer() -> None:
    graph = graph_of(ZOO["qdq_weight_per_axis"]())
    lines = [line for line in layer_lines(graph, graph) if line.macs[0]]
    assert lines and all(min(line.parameters) > 0 for line in lines)
