"""Commands in processes of their own, in a folder of their own: what they print, return and leave."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

LIMIT = 60.0


@dataclass(frozen=True)
class Place:
    """A folder to work in; temporary files and the cache have folders beside it. ``more`` are variables to set."""

    work: Path
    more: dict[str, str] = field(default_factory=dict)

    @staticmethod
    def at(folder: Path, **more: str) -> Place:
        """Make the folders."""
        for name in ("work", "temporary", "cache"):
            (folder / name).mkdir()
        return Place(folder / "work", more)

    @property
    def temporary(self) -> Path:
        """Where temporary files go."""
        return self.work.parent / "temporary"

    @property
    def cache(self) -> Path:
        """Where measurements are kept."""
        return self.work.parent / "cache"

    @contextmanager
    def started(self, *arguments: str, stderr: int = subprocess.PIPE) -> Iterator[subprocess.Popen[str]]:
        """Start a command, and see that it has ended when the block does."""
        told = {"OPTIMISE_ONNX_CACHE": str(self.cache), "TMPDIR": str(self.temporary), "OMP_NUM_THREADS": "1"}
        process = subprocess.Popen(
            [sys.executable, "-m", "optimise_onnx", *arguments], cwd=self.work, env=os.environ | told | self.more,
            stdout=subprocess.PIPE, stderr=stderr, text=True,
        )  # fmt: skip
        try:
            yield process
        finally:
            process.kill()
            process.communicate()

    def run(self, *arguments: str) -> tuple[int, str, str]:
        """Run a command to its end; return its code, what it printed, and what it complained of."""
        with self.started(*arguments) as process:
            out, err = process.communicate(timeout=LIMIT)
            return process.returncode, out, err

    def left(self) -> set[str]:
        """Name all that lies in the folder, and temporary files."""
        return {path.name for place in (self.work, self.temporary) for path in place.iterdir()}


def stopped(process: subprocess.Popen[str], by: signal.Signals, after: float) -> tuple[int, str]:
    """Send a signal after some seconds; return the code and what was complained of."""
    time.sleep(after)
    process.send_signal(by)
    _, err = process.communicate(timeout=LIMIT)
    return process.returncode, err


def waits_for(path: Path) -> None:
    """Wait until a file is there."""
    end = time.monotonic() + LIMIT
    while not path.exists():
        assert time.monotonic() < end, f"{path} never came"
        time.sleep(0.01)


def waits_until_one(folder: Path, pattern: str) -> None:
    """Wait until a file of such a name is in a folder."""
    end = time.monotonic() + LIMIT
    while not list(folder.glob(pattern)):
        assert time.monotonic() < end, f"no {pattern} ever came"
        time.sleep(0.01)


def compress(*more: str, output: str = "out.onnx", report: str = "r.json", target: str = "macs=0.7x") -> Sequence[str]:
    """Spell a compression that writes a model and a report; nothing is timed, which would take half of the time."""
    timed = () if "--latency-command" in more else ("--latency-command", f"{sys.executable} -c print(1) {{model}}")
    told = ("-o", output, "--report", report, "--target", target, "--align", "1", "--no-guard", *timed, *more)
    return ("compress", "in.onnx", *told)
