"""A small model with calibration data in a folder, and a way to run commands in it."""

import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
import onnx
import pytest
from zoo import feeds
from zoo.builder import Builder

from optimise_onnx.passes.search import meet_target
from optimise_onnx.tools import outcome
from optimise_onnx.tools.cli import main

SAMPLES = 24
BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "executors.py"


def network(batch: int | str = "N") -> onnx.ModelProto:
    """Three convolutions with batch norm over 8 x 8 images, ten classes."""
    b = Builder("tools")
    x = b.input("x", [batch, 3, 8, 8])
    for width in (8, 12, 16):
        x = b.conv_bn_relu(x, width)
    return b.model(b.head(x))


@dataclass(frozen=True)
class Run:
    """What a command returned and printed."""

    code: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The one line on standard error."""
        (line,) = self.err.splitlines()
        return line.removeprefix("error: ")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, holding `in.onnx` and `data.npz` (the model's inputs and a `label`)."""
    model = network()
    onnx.save(model, tmp_path / "in.onnx")
    labels = np.arange(SAMPLES) % 10
    np.savez(tmp_path / "data.npz", **feeds(model, 0, SAMPLES), label=labels)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(outcome, "_SECONDS", 0.05)
    monkeypatch.setattr(meet_target, "_slower", lambda _: False)  # other tests run beside
    return tmp_path


@pytest.fixture
def run(folder: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Run]:
    """Run a command in the folder."""

    def command(*arguments: str) -> Run:
        code = main(arguments)
        printed = capsys.readouterr()
        return Run(code, printed.out, printed.err)

    return command


@pytest.fixture
def device(folder: Path) -> str:
    """A command that takes a millisecond for every thousand bytes of the model's file."""
    script = folder / "device.py"
    script.write_text("import os, sys\nprint('ms:', os.path.getsize(sys.argv[1]) / 1000)\n")
    return f"{sys.executable} -I -S {script} {{model}}"


@pytest.fixture
def clusters() -> ModuleType:
    """The benchmark that starts Dask clusters on this machine; skips where Dask is not installed."""
    pytest.importorskip("distributed", reason="dask[distributed] is not installed")
    spec = importlib.util.spec_from_file_location("executors", BENCHMARK)
    assert spec is not None and spec.loader is not None
    sys.modules["executors"] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
