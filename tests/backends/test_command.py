"""Timers that need no table: a user's command, and runs here."""

import sys
from pathlib import Path

import pytest
from oracle import graph_of
from zoo.builder import Builder

from optimise_onnx.backends.latency.command import Command
from optimise_onnx.backends.latency.execution import Execution, interleaved
from optimise_onnx.backends.latency.local import LocalDevice
from optimise_onnx.ir.errors import InvalidModelError, UsageError
from optimise_onnx.ir.graph import Graph
from optimise_onnx.ir.timing import Timer


@pytest.fixture
def graph() -> Graph:
    b = Builder("latency")
    return graph_of(b.model(b.conv_relu(b.input("x", [1, 3, 8, 8]), 8)))


def script(folder: Path, text: str) -> str:
    """Write a Python script and return a command that runs it on the model."""
    file = folder / "device.py"
    file.write_text(text)
    return f"{sys.executable} {file} {{model}}"


def test_a_command_prints_milliseconds(graph: Graph, tmp_path: Path) -> None:
    text = "import onnx, sys\nonnx.checker.check_model(onnx.load(sys.argv[1]))\nprint('latency:', 2.5)"
    timer: Timer = Command(script(tmp_path, text))
    assert timer.times([graph])[0] == 2.5e-3


def test_a_command_that_fails_shows_its_text(graph: Graph, tmp_path: Path) -> None:
    command = Command(script(tmp_path, "import sys\nsys.exit('no board on /dev/tty7')"))
    with pytest.raises(InvalidModelError, match="code 1: no board on /dev/tty7"):
        command.times([graph])


@pytest.mark.parametrize("printed", ["", "about two", "-1", "nan", "inf", "0"])
def test_what_is_no_time_is_an_error(graph: Graph, tmp_path: Path, printed: str) -> None:
    with pytest.raises(UsageError, match="no milliseconds"):
        Command(script(tmp_path, f"print({printed!r})")).times([graph])


def test_a_command_must_name_the_model() -> None:
    with pytest.raises(UsageError, match="{model}"):
        Command("run-on-device")


def test_a_command_that_is_not_there(graph: Graph) -> None:
    with pytest.raises(UsageError, match="cannot be started"):
        Command("/no/such/program {model}").times([graph])


def test_a_command_may_not_take_for_ever(graph: Graph, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="took over 0.2 seconds"):
        Command(script(tmp_path, "import time\ntime.sleep(5)"), limit=0.2).times([graph])


def test_runs_here_are_timed(graph: Graph) -> None:
    assert LocalDevice().times([graph])[0] > 0
    assert len(interleaved([graph, graph], Execution(), budget=0.01)) == 2


def test_runs_here_refuse_what_onnxruntime_does(graph: Graph) -> None:
    graph.nodes[0].set_op("NoSuchOperator")
    with pytest.raises(InvalidModelError):
        LocalDevice().times([graph])
