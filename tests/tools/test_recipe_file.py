"""Recipe files, the command line and Python ask for the same, in three ways."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from zoo import feeds

import optimise_onnx
from optimise_onnx.ir.errors import UsageError
from optimise_onnx.tools import recipe_file

from .conftest import Run, network

ASKED = (
    "--target",
    "macs=0.6x",
    "--data",
    "data.npz",
    "--labels",
    "label",
    "--no-guard",
    "--align",
    "2",
    "--keep",
    "^x$",
)


def test_recipe_command_and_python_give_the_same_bytes(folder: Path, run: Callable[..., Run]) -> None:
    assert run("compress", "in.onnx", "line.onnx", *ASKED, "--save-recipe", "asked.yaml").code == 0
    assert run("compress", "in.onnx", "file.onnx", "-c", "asked.yaml").code == 0
    optimise_onnx.compress("in.onnx", config="asked.yaml").save("python.onnx")
    plain = optimise_onnx.compress(
        "in.onnx", target="macs=0.6x", data="data.npz", labels="label", guard=False, align=2, keep_nodes=["^x$"]
    )
    plain.save("plain.onnx")
    made = {(folder / name).read_bytes() for name in ("line.onnx", "file.onnx", "python.onnx", "plain.onnx")}
    assert len(made) == 1


def test_a_sweep_can_be_asked_for_in_a_recipe(folder: Path, run: Callable[..., Run]) -> None:
    asked = ("--data", "data.npz", "--labels", "label", "--no-guard", "--align", "2")
    assert run("sweep", "in.onnx", "-o", "line", "--targets", "0.8x", *asked, "--save-recipe", "asked.yaml").code == 0
    assert run("sweep", "in.onnx", "-o", "file", "-c", "asked.yaml").code == 0
    front = optimise_onnx.sweep("in.onnx", config="asked.yaml", targets=["macs=0.8x"])
    assert front.points[0].graph is not None
    made = {next((folder / name).glob("*.onnx")).read_bytes() for name in ("line", "file")}
    assert made == {front.points[0].graph.to_model().SerializeToString(deterministic=True)}
    assert "sweep -c asked.yaml" in run("compress", "in.onnx", "-o", "out.onnx", "-c", "asked.yaml").error


def test_the_target_of_a_recipe_says_what_a_sweep_limits(folder: Path, run: Callable[..., Run]) -> None:
    (folder / "r.yaml").write_text("version: 1\ntarget: params=0.9x\nguard: false\n")
    assert run("sweep", "in.onnx", "-o", "made", "-c", "r.yaml", "--targets", "0.8x").code == 0
    assert json.loads((folder / "made" / "front.json").read_text())["quantity"] == "params"
    assert "no targets are given" in run("sweep", "in.onnx", "-o", "made", "-c", "r.yaml").error
    (folder / "r.yaml").write_text("version: 1\ntarget: 0.9x\n")
    found = run("sweep", "in.onnx", "-o", "made", "-c", "r.yaml", "--targets", "0.8x")
    assert found.code == 2 and "cannot read the target '0.9x'" in found.error
    made = run("sweep", "in.onnx", "-o", "made", "--targets", "params=0.9x", "--no-guard", "--save-recipe", "s.yaml")
    assert made.code == 0 and "kind: params" in (folder / "s.yaml").read_text()


def test_the_command_line_goes_before_the_recipe(folder: Path, run: Callable[..., Run]) -> None:
    (folder / "r.yaml").write_text("version: 1\ntarget: macs=0.9x\nalign: auto\nkeep_nodes: [a]\n")
    found = run("compress", "in.onnx", "-c", "r.yaml", "--target", "macs=0.7x", "--print-pipeline")
    assert found.code == 0 and "target=macs=0.7x" in found.out and "keep-nodes=(?:a)" in found.out


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("version: 1\ntagret: macs=0.5x\n", "did you mean 'target'?"),
        ("version: 1\nalign: wide\n", "align"),
        ("version: 2\n", "version: 1 was expected"),
        ("- target\n", "is not of type 'object'"),
        ("version: [1\n", "is no YAML"),
    ],
)
def test_what_is_no_recipe_is_refused(text: str, said: str, folder: Path, run: Callable[..., Run]) -> None:
    (folder / "bad.yaml").write_text(text)
    found = run("compress", "in.onnx", "-c", "bad.yaml", "--dry-run")
    assert found.code == 2 and said in found.error
    assert "one of fpga, " in run("compress", "in.onnx", "-c", "nowhere", "--dry-run").error


@pytest.mark.parametrize("name", recipe_file.shipped())
def test_those_that_ship_can_be_followed(name: str, folder: Path, run: Callable[..., Run], device: str) -> None:
    model = network()
    for each in model.graph.initializer:
        if len(each.dims) == 4:  # half of the channels say nothing, so a loss of one percent leaves much to be had
            values = numpy_helper.to_array(each).copy()
            values[1::2] = 0
            each.CopyFrom(numpy_helper.from_array(values, each.name))
    onnx.save(model, "in.onnx")
    np.savez("data.npz", **feeds(model, 1, 4000))
    script = "import os, sys\nprint('ms:', (os.path.getsize(sys.argv[1]) - 2000) / 1000)\n"  # what is no weight is free
    (folder / "device.py").write_text(script)
    timed = ("--latency-command", device) if recipe_file.read(name).get("target", "").startswith("latency") else ()
    found = run("compress", "in.onnx", "out.onnx", "--data", "data.npz", "-c", name, *timed)
    assert found.code == 0, found.error
    assert (folder / "out.onnx").stat().st_size < (folder / "in.onnx").stat().st_size


def test_the_schema_that_ships_is_that_of_the_options() -> None:
    folder = Path(recipe_file.__file__).parent / "schemas"
    assert json.loads((folder / "recipe.json").read_text(encoding="utf-8")) == recipe_file.schema()


def test_a_recipe_says_what_it_was_read_from(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot read the recipe"):
        recipe_file.read(tmp_path / "none.yaml")
