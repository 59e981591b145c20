"""Items of work here and in processes: nothing is lost with a worker, and no worker outlives who has started it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from optimise_onnx.backends.workers import pool
from optimise_onnx.backends.workers.processes import processes
from optimise_onnx.ir.errors import UsageError
from optimise_onnx.ir.workers import IN_PROCESS, in_order

WORK = """
import os, signal, time
from pathlib import Path

def doubled(folder, factor, item):
    with (Path(folder) / f"done-{item}").open("a") as file:
        file.write("x")
    if item == 1 and not (Path(folder) / "killed").exists():
        (Path(folder) / "killed").write_text("")
        while not (Path(folder) / "done-0").exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGKILL)
    return factor * item, os.getpid()

def always_lost(item):
    os.kill(os.getpid(), signal.SIGKILL)

def refused(item):
    from optimise_onnx.ir.errors import UsageError
    raise UsageError("not so", hint="otherwise")

def waits(folder):
    Path(folder, "pid").write_text(str(os.getpid()))
    time.sleep(60)
"""
PARENT = """
import sys
sys.path.insert(0, sys.argv[1])
import work
from optimise_onnx.backends.workers.processes import processes
if __name__ == "__main__":
    with processes(1) as workers:
        list(workers.each(work.waits, (), [sys.argv[1]]))
"""


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """Functions of a module that processes can import too."""
    (tmp_path / "work.py").write_text(WORK)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "work", raising=False)
    return lambda name: getattr(import_module("work"), name)


def test_what_is_lost_with_a_process_is_done_again(tmp_path: Path, work: Callable[[str], Any]) -> None:
    with processes(2) as workers:
        found = dict(workers.each(work("doubled"), (str(tmp_path), 2), [3, 0, 1, 2]))
        assert {number: value for number, (value, _) in found.items()} == {0: 6, 1: 0, 2: 2, 3: 4}
        assert os.getpid() not in {pid for _, pid in found.values()}
        assert (tmp_path / "done-1").read_text() == "xx"
        with pytest.raises(UsageError, match="not so") as info:
            list(workers.each(work("refused"), (), [1]))
        assert info.value.hint == "otherwise"


def test_workers_that_are_always_lost_are_an_error(work: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "_ATTEMPTS", 1)
    with processes(1) as workers, pytest.raises(UsageError, match="processes lost what they worked on 1 times"):
        list(workers.each(work("always_lost"), (), [1]))


def test_processes_end_with_the_one_that_has_started_them(tmp_path: Path, work: Callable[[str], Any]) -> None:
    (tmp_path / "parent.py").write_text(PARENT)
    with subprocess.Popen([sys.executable, str(tmp_path / "parent.py"), str(tmp_path)]) as parent:
        waits_until((tmp_path / "pid").exists)
        time.sleep(0.05)
        parent.send_signal(signal.SIGKILL)
    child = int((tmp_path / "pid").read_text())
    waits_until(lambda: not Path(f"/proc/{child}").exists() or "Z" in Path(f"/proc/{child}/stat").read_text().split())


def waits_until(told: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not told():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_early_results_wait() -> None:
    assert list(in_order([(2, "c"), (0, "a"), (1, "b")])) == ["a", "b", "c"]
    assert list(IN_PROCESS.each(lambda factor, item: factor * item, (3,), [1, 2])) == [(0, 3), (1, 6)]
