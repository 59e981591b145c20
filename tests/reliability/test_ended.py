"""A command that is told to end: one line, its own code, and nothing left, children neither."""

import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import onnx
import pytest
from zoo.builder import Builder

from .commands import LIMIT, Place, compress, stopped, waits_for

DEVICE = """
import pathlib, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
pathlib.Path("started.part").write_text(str(child.pid))
pathlib.Path("started.part").rename("started")
time.sleep(600)
"""


@pytest.fixture(autouse=True)
def heard() -> Iterator[None]:
    """Under nohup all that is started here would be told to ignore SIGHUP, as the tests themselves are."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A small network, and a device that starts another program and never answers."""
    made = Place.at(tmp_path)
    b = Builder("ended")
    onnx.save(b.model(b.head(b.conv_bn_relu(b.input("x", ["N", 3, 8, 8]), 8))), made.work / "in.onnx")
    (made.work / "device.py").write_text(DEVICE)
    return made


def waiting() -> Sequence[str]:
    """Spell a command that waits for the device."""
    return compress("--latency-command", f"{sys.executable} device.py {{model}}", target="latency=0.7x")


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and that nobody has asked for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_tidily(place: Place, by: signal.Signals) -> None:
    before = place.left()
    with place.started(*waiting()) as process:
        waits_for(place.work / "started")
        code, complaint = stopped(process, by, 0.0)
    assert (code, complaint) == (130, "error: interrupted\n")
    child = int((place.work / "started").read_text())
    assert not alive(child)
    assert place.left() == before | {"started"}


def test_a_signal_while_it_starts(place: Place) -> None:
    """Modules are still being imported: that interrupt has no command to catch it."""
    with place.started("analyse", "in.onnx") as process:
        code, complaint = stopped(process, signal.SIGTERM, 0.15)
    assert (code, complaint) in ((130, "error: interrupted\n"), (-signal.SIGTERM, ""), (0, ""))


def test_the_terminal_is_as_before(place: Place) -> None:
    ours, theirs = pty.openpty()
    place.more["TERM"] = "xterm"
    with place.started(*waiting(), stderr=theirs) as process:
        os.close(theirs)
        waits_for(place.work / "started")
        process.send_signal(signal.SIGTERM)
        assert process.wait(LIMIT) == 130
        shown = b""
        try:
            while part := os.read(ours, 65536):
                shown += part
        except OSError:  # all is read
            pass
    os.close(ours)
    assert b"\x1b[?25l" in shown and shown.rfind(b"\x1b[?25h") > shown.rfind(b"\x1b[?25l")
    assert shown.count(b"interrupted") == 1


def test_signals_that_are_to_be_ignored_are(place: Place) -> None:
    (place.work / "device.py").write_text("import time\ntime.sleep(0.5)\nprint(1)\n")
    command = [sys.executable, "-m", "optimise_onnx", "analyse", "in.onnx"]
    process = subprocess.Popen(
        ["sh", "-c", 'trap "" HUP; exec "$@"', "sh", *command], cwd=place.work, stdout=subprocess.DEVNULL
    )
    assert stopped(process, signal.SIGHUP, 0.3)[0] == 0
