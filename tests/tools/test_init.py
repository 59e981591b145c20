"""``init`` finds out what it can and prints a command that runs as it stands."""

import json
import shlex
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from oracle import graph_of
from PIL import Image
from zoo import ZOO
from zoo.builder import Builder

from optimise_onnx.tools.deciding import deciding

from .conftest import SAMPLES, Run
from .test_fix import by_size


def proposed(found: Run) -> list[str]:
    """Return the words of the command that was printed, without the program's name."""
    assert (found.code, found.err) == (0, "")
    words = shlex.split(found.out.strip().splitlines()[-1])
    assert words[0] == "optimise-onnx"
    return words[1:]


def test_samples_beside_the_model_are_found_and_the_command_runs(folder: Path, run: Callable[..., Run]) -> None:
    np.save(folder / "another.npy", np.zeros((3, 5), np.float32))  # suits no input
    found = run("init", "in.onnx")
    words = proposed(found)
    assert words[:4] == ["compress", "in.onnx", "-o", "in-smaller.onnx"]
    assert words[words.index("--data") + 1] == "data.npz" and words[words.index("--labels") + 1] == "label"
    assert f"{SAMPLES} samples are few" in found.out
    assert words[-2:] == ["--report", "in-smaller.html"]
    assert run(*words[:-2]).code == 0 and (folder / "in-smaller.onnx").exists()


def test_without_samples_it_says_so_and_asks_for_little(folder: Path, run: Callable[..., Run]) -> None:
    (folder / "data.npz").unlink()
    found = run("init", "in.onnx", "--json", "init.json")
    assert "no samples" in found.out
    written = json.loads((folder / "init.json").read_text())
    assert "--data" not in written["command"] and "macs=0.8x" in written["command"]
    assert all(option["why"] for option in written["options"])


def test_names_with_spaces_can_be_pasted(folder: Path, run: Callable[..., Run]) -> None:
    (folder / "in.onnx").rename(folder / "my model.onnx")
    words = proposed(run("init", "my model.onnx", "data.npz"))
    assert words[1] == "my model.onnx" and words[words.index("--report") + 1] == "my model-smaller.html"


def test_folders_of_images_are_classes_and_get_a_preprocessing(folder: Path, run: Callable[..., Run]) -> None:
    b = Builder("coloured")
    model = b.model(b.head(b.conv_relu(b.conv_relu(b.input("x", ["N", 3, 16, 16]), 16), 16), 2))
    onnx.save(model, folder / "coloured.onnx")
    rng = np.random.default_rng(0)
    for name in ("cats", "dogs"):
        (folder / "photos" / name).mkdir(parents=True)
        for i in range(10):
            Image.fromarray(rng.integers(0, 256, (16, 16, 3), np.uint8)).save(folder / "photos" / name / f"{i}.png")
    found = run("init", "coloured.onnx")
    words = proposed(found)
    assert words[words.index("--data") + 1] == "photos" and words[words.index("--labels") + 1] == "folder"
    assert "--preprocess" in words and "nats" in found.out
    assert run(*words, "--dry-run").code == 0


@pytest.mark.parametrize(("name", "written"), [("labelled", "label"), ("plain", None)])
def test_columns_of_a_table_called_label_are_labels(
    name: str, written: str | None, folder: Path, run: Callable[..., Run]
) -> None:
    b = Builder("table")
    onnx.save(b.model(b.gemm(b.relu(b.gemm(b.input("x", ["N", 4]), 16)), 3)), folder / "table.onnx")
    rows = np.random.default_rng(0).normal(size=(100, 4)).round(3)
    head = [f"f{i}" for i in range(4)] + ["label"] * (written is not None)
    body = np.column_stack([rows, np.arange(100) % 3]) if written else rows
    np.savetxt(folder / f"{name}.csv", body, delimiter=",", header=",".join(head), comments="")
    words = proposed(run("init", "table.onnx", f"{name}.csv"))
    assert ("--labels" in words) is (written is not None)
    assert run(*words, "--dry-run").code == 0


def test_labels_are_not_proposed_where_no_output_holds_classes(folder: Path, run: Callable[..., Run]) -> None:
    b = Builder("pictures")
    onnx.save(b.model(b.conv(b.conv_relu(b.input("x", ["N", 3, 16, 16]), 16), 3)), folder / "pictures.onnx")
    np.savez(folder / "pairs.npz", x=np.zeros((20, 3, 16, 16), np.float32), y=np.arange(20))
    found = run("init", "pictures.onnx", "pairs.npz")
    assert found.code == 3 and "'y' that is no input" in found.error


def test_a_column_too_many_may_be_the_labels(folder: Path, run: Callable[..., Run]) -> None:
    b = Builder("table")
    onnx.save(b.model(b.gemm(b.relu(b.gemm(b.input("x", ["N", 4]), 16)), 3)), folder / "table.onnx")
    np.savetxt(folder / "t.csv", np.zeros((9, 5)), delimiter=",", header="a,b,c,d,kind", comments="")
    assert "name the column of labels with --labels" in run("init", "table.onnx", "t.csv").error


def test_samples_that_were_given_and_do_not_suit_are_refused(folder: Path, run: Callable[..., Run]) -> None:
    np.save(folder / "other.npy", np.zeros((3, 5), np.float32))
    found = run("init", "in.onnx", "other.npy")
    assert found.code == 3 and "wrong shape" in found.error


def test_a_model_that_can_lose_nothing_is_sent_to_analyse(folder: Path, run: Callable[..., Run]) -> None:
    b = Builder("bare")
    onnx.save(b.model(b.gemm(b.input("x", ["N", 4]), 3)), folder / "bare.onnx")
    found = run("init", "bare.onnx")
    assert proposed(found) == ["analyse", "bare.onnx"] and run("analyse", "bare.onnx").code == 0


def test_inputs_that_decide_between_branches_with_layers_are_named(folder: Path, run: Callable[..., Run]) -> None:
    onnx.save(ZOO["if_branches"](), folder / "if.onnx")
    found = run("init", "if.onnx")
    assert found.code == 0 and "optimise-onnx fix if.onnx -o if-fixed.onnx --set flag=VALUE" in found.out
    assert "fix" not in run("init", "in.onnx").out
    graph = graph_of(by_size())
    assert deciding(graph) == ([], ["x"])
