"""An outside package, installed: one thing of every kind, each used from the command line and each checked."""

import gzip
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from shutil import copytree

import numpy as np
import onnx
import pytest
from zoo.builder import Builder

from optimise_onnx.demo import load_samples, paths
from optimise_onnx.frontends.load import load
from optimise_onnx.ir.cost import Cost, cost, total

HERE = Path(__file__).parent
PLUGIN = HERE / "plugin" / "optimise_onnx_example"
LIMIT = 40


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package, beside a packed model, a model of another domain's operators, and samples."""
    folder = tmp_path_factory.mktemp("plugin")
    source = folder / "source"
    copytree(HERE / "plugin", source)
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*install, "--target", str(folder / "site"), str(source)], check=True, capture_output=True)
    (folder / "digits.onnx.gz").write_bytes(gzip.compress(paths()[0].read_bytes()))
    np.savez(folder / "images.npz", image=load_samples().calibration[:64])
    onnx.save(gated(), folder / "gated.onnx")
    return folder


def gated() -> onnx.ModelProto:
    """Two convolutions with an operator between them that is not in the standard."""
    b = Builder("gated")
    x = b.conv(b.input("x", ["N", 3, 8, 8]), 8)
    model = b.model(b.head(b.relu(x), 5))
    relu = next(node for node in model.graph.node if node.op_type == "Relu")
    relu.op_type, relu.domain = "QuickGelu", "com.microsoft"
    model.opset_import.append(onnx.helper.make_opsetid("com.microsoft", 1))
    return model


def python(folder: Path, *arguments: str) -> str:
    """Run Python in the folder, with the package installed, and return what it prints."""
    paths_ = os.pathsep.join([str(folder / "site"), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": paths_},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def command(folder: Path, *arguments: str) -> str:
    """Run ``optimise-onnx``."""
    return python(folder, "-m", "optimise_onnx", *arguments)


def test_a_front_end_a_criterion_a_form_and_a_pass(installed: Path) -> None:
    pipeline = (
        "fold-constants,fold-batch-norm,select-channels{criterion=apoz,keep=0.75},remove-channels,"
        "decompose{forms=half-rank,share=0.9},reconstruct,round-weights{bits=6}"
    )
    out = command(
        installed, "run", "digits.onnx.gz", "-o", "small.onnx", "--data", "images.npz", "--passes", pipeline, "-v"
    )
    assert re.search(r"groups ranked by apoz", out)
    assert re.search(r"\d+ layers rewritten", out)
    assert re.search(r"\d+ weights rounded to 6 bits", out)
    weights = [onnx.numpy_helper.to_array(t) for t in onnx.load(installed / "small.onnx").graph.initializer]
    assert all(len(np.unique(w)) < 2**6 for w in weights if w.ndim > 1 and w.dtype == np.float32)


def test_a_rule(installed: Path) -> None:
    pipeline = "select-channels{keep=0.5},remove-channels"
    assert "4 channels removed from 1 groups" in command(
        installed, "run", "gated.onnx", "-o", "half.onnx", "--passes", pipeline, "-v"
    )
    shapes = [tuple(t.dims) for t in onnx.load(installed / "half.onnx").graph.initializer]
    assert (4, 3, 3, 3) in shapes and (5, 4) in shapes


@pytest.mark.parametrize(
    ("target", "amount"),
    [
        ("latency=0.7x", lambda whole: whole.macs),
        ("energy=0.6x", lambda whole: 4.6 * whole.macs + 160 * whole.bytes),
    ],
)
def test_a_device_and_a_quantity(installed: Path, target: str, amount: Callable[[Cost], float]) -> None:
    """The device tells time by MACs, so a latency target leaves about so many; energy is what it counts."""
    pipeline = f"fold-constants,fold-batch-norm,select-channels,allocate{{target={target},align=1}},remove-channels"
    command(
        installed, "run", "digits.onnx.gz", "-o", "less.onnx", "--passes", pipeline, "--device", "roofline:1e9",
    )  # fmt: skip
    less, whole = (amount(total(cost(load(path)[0]))) for path in (installed / "less.onnx", paths()[0]))
    share = float(target.split("=")[1].rstrip("x"))
    assert share - 0.1 < less / whole <= share + 0.01


def test_the_checks_pass(installed: Path) -> None:
    python(installed, "-c", CHECKS)


CHECKS = """
from optimise_onnx.testing import Live, check_criterion, check_pass, check_rule
from optimise_onnx_example.apoz import APOZ
from optimise_onnx_example.round_weights import RoundWeights

check_pass(RoundWeights(bits=4))
check_criterion(APOZ)


def example(rng):
    shape = 2, int(rng.integers(2, 6)), int(rng.integers(2, 6))
    return [Live(shape, axis=1 + int(rng.integers(2)))], {"alpha": float(rng.uniform(0.5, 2))}


check_rule("QuickGelu", example, domain="com.microsoft", seeds=4)
"""


@pytest.mark.parametrize("file", sorted(PLUGIN.glob("*.py")), ids=lambda file: file.name)
def test_each_part_is_short(file: Path) -> None:
    assert len(file.read_text(encoding="utf-8").splitlines()) < LIMIT


def test_the_page_shows_what_is_tried() -> None:
    """Every block of Python or TOML on the page stands in the package, or in this test."""
    page = (HERE.parent / "docs" / "extend.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```(?:python|toml)\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    tried = [file.read_text(encoding="utf-8") for file in PLUGIN.glob("*.py")]
    tried += [(HERE / "plugin" / "pyproject.toml").read_text(encoding="utf-8"), CHECKS]
    assert len(blocks) >= len(list(PLUGIN.glob("*.py")))
    for block in blocks:
        assert any(block.strip() in text for text in tried), block
