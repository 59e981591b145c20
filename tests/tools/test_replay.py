"""A report makes its model again, byte for byte, and says what differs where it cannot."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from jsonschema import Draft202012Validator
from zoo import feeds

import optimise_onnx
from optimise_onnx.tools import report

from .conftest import Run, network

COMPRESS = ("compress", "in.onnx", "-o", "out.onnx", "--data", "data.npz", "--labels", "label", "--no-guard")


@pytest.fixture
def made(folder: Path, run: Callable[..., Run]) -> Path:
    assert run(*COMPRESS, "--target", "macs=0.6x", "--report", "out.json").code == 0
    return folder


def test_replay_gives_the_same_bytes(made: Path, run: Callable[..., Run]) -> None:
    done = run("replay", "out.json", "-o", "again.onnx", "--no-colour", "--json", "again.json")
    assert (done.code, done.err) == (0, "") and "the same bytes" in done.out
    assert (made / "again.onnx").read_bytes() == (made / "out.onnx").read_bytes()
    assert json.loads((made / "again.json").read_text())["same"]
    assert run("replay", "out.json", "--json", "checked.json").code == 0
    assert (made / "checked.json").read_bytes() == (made / "again.json").read_bytes()


def test_the_report_is_as_its_schema_says(made: Path) -> None:
    schema = json.loads((Path(report.__file__).parent / "schemas" / "report.json").read_text())
    Draft202012Validator.check_schema(schema)
    told = json.loads((made / "out.json").read_text())
    Draft202012Validator(schema).validate(told)
    assert told.keys() == set(schema["required"]) and told["layers"]
    curves = [figures["sensitivities"] for one in told["passes"] if (figures := one["figures"]).get("sensitivities")]
    assert curves and all(0 <= group["lost"] <= 1 for group in curves[-1].values())


def test_times_are_taken_from_the_report(folder: Path, run: Callable[..., Run], device: str) -> None:
    asked = ("--target", "latency=0.8x", "--latency-command", device, "--report", "out.html")
    assert run(*COMPRESS, *asked).code == 0
    (folder / "device.py").write_text("raise SystemExit('nothing is measured')")
    assert run("replay", "out.json", "-o", "again.onnx").code == 0
    assert (folder / "again.onnx").read_bytes() == (folder / "out.onnx").read_bytes()
    assert (folder / "out.html").read_text().startswith("<!DOCTYPE html>")


def test_another_model_data_version_or_report_is_refused(made: Path, run: Callable[..., Run]) -> None:
    other = feeds(network(), 1, 24)
    np.savez(made / "other.npz", **other, label=np.arange(24) % 10)
    onnx.save(onnx.load(made / "out.onnx"), made / "other.onnx")
    refused = {("--model", "other.onnx"): (3, "not the model"), ("--data", "other.npz"): (3, "not the samples")}
    for change, (code, said) in refused.items():
        done = run("replay", "out.json", *change)
        assert (done.code, done.out) == (code, "") and said in done.error
    report = json.loads((made / "out.json").read_text())
    changed = {
        "version": (3, {**report, "version": 99}),
        "other versions": (2, {**report, "made": {**report["made"], "versions": {"numpy": "1.0"}}}),
        "how the model was made": (3, {**report, "made": None}),
        "other bytes": (5, {**report, "made": {**report["made"], "result": "0"}}),
    }
    for said, (code, told) in changed.items():
        (made / "changed.json").write_text(json.dumps(told))
        done = run("replay", "changed.json", "-o", "never.onnx")
        assert (done.code, said in done.error) == (code, True)
    assert not (made / "never.onnx").exists()
    assert run("replay", "in.onnx").code == 3


def test_a_result_is_saved_with_its_page(folder: Path) -> None:
    result = optimise_onnx.compress("in.onnx", target="macs=0.6x", data="data.npz", labels="label", guard=False)
    result.save("saved.onnx", report="saved.html")
    assert {"saved.onnx", "saved.html", "saved.json"} <= {path.name for path in folder.iterdir()}
