"""Sweeps and searches of the digits network, killed (SIGKILL) at random moments and then run again to their ends.

Prints, for each, what the second run found of the first, and whether its files are those of a run that was never
killed. Exits with 1 where they differ, or where a process of the first stays.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from optimise_onnx.demo import load_samples, paths

LIMIT = 600.0
FIXED = ("--samples", "64", "--align", "1", "--no-guard", "--latency-command", "sh -c 'echo 1' {model}")
SWEEP = ("sweep", "in.onnx", "--targets", "0.8x,0.6x,0.4x", "--data", "data.npz", *FIXED, "-o", "out")
ONE = ("compress", "in.onnx", "--data", "data.npz", *FIXED, "-o", "out/out.onnx")
COMMANDS = {
    "sweep": SWEEP,
    "sweep in two processes": (*(word for word in SWEEP if word not in FIXED[-2:]), "--jobs", "2"),
    "genetic": (*ONE, "--target", "macs=0.5x", "--criterion", "genetic"),
    "particle": (*ONE, "--target", "macs=0.5x", "--criterion", "particle"),
    "max-drop": (*ONE, "--max-drop", "5%"),
}


@dataclass(frozen=True)
class Place:
    """A folder with the network and its samples, and what a command leaves there."""

    folder: Path
    words: Sequence[str]

    def __post_init__(self) -> None:
        (self.folder / "out").mkdir(parents=True)
        (self.folder / "in.onnx").write_bytes(paths()[0].read_bytes())
        np.savez(self.folder / "data.npz", image=load_samples().calibration[:384])

    @property
    def told(self) -> dict[str, str]:
        """Variables by which its processes are known."""
        return {"OPTIMISE_ONNX_CACHE": str(self.folder / "cache"), "OMP_NUM_THREADS": "1"}

    def start(self) -> subprocess.Popen[str]:
        """Start the command."""
        return subprocess.Popen(
            [sys.executable, "-m", "optimise_onnx", *self.words], cwd=self.folder, env=os.environ | self.told,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    def made(self) -> tuple[dict[str, bytes], float, str]:
        """Run it to its end; return the models, seconds, and what it said. Raises RuntimeError for a bad end."""
        begun, process = time.perf_counter(), self.start()
        said, _ = process.communicate(timeout=LIMIT)
        if process.returncode:
            raise RuntimeError(said)
        files = {path.name: path.read_bytes() for path in (self.folder / "out").glob("*.onnx")}
        return files, time.perf_counter() - begun, said

    def killed(self, after: float) -> bool:
        """Start it and kill it; return whether it still ran."""
        process = self.start()
        try:
            process.communicate(timeout=after)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.communicate()
            return True
        return False

    def staying(self) -> list[str]:
        """List processes of this place that do not end within a second."""
        end = time.monotonic() + 1
        while (found := list(self._running())) and time.monotonic() < end:
            time.sleep(0.02)
        return found

    def _running(self) -> list[str]:
        mark, found = str(self.folder / "cache").encode(), list[str]()
        for entry in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if mark in (entry / "environ").read_bytes():
                    found.append(entry.name)
        return found

    def entries(self) -> str:
        """Count what is kept, by its kind."""
        kinds = [path.name.partition("-")[0] for path in (self.folder / "cache").glob("*.entry")]
        return ", ".join(f"{kinds.count(kind)} {kind}" for kind in sorted(set(kinds))) or "nothing"


def judged(words: Sequence[str], moments: int, drawn: random.Random, folder: Path) -> int:
    """Kill a command at some moments; return how often something was not as it should be."""
    whole, seconds, _ = Place(folder / "whole", words).made()
    print(f"  uninterrupted: {seconds:.1f} s, {len(whole)} models", flush=True)
    wrong, done = 0, 0
    while done < moments:
        place, after = Place(folder / f"{done}-{drawn.random()}", words), drawn.uniform(0, seconds)
        if not place.killed(after):  # the machine is quicker now
            seconds = after
            continue
        stay, kept = place.staying(), place.entries()
        found, again, _ = place.made()
        fault = [text for text, true in (("other bytes", found != whole), (f"{stay} stay", bool(stay))) if true]
        print(f"  killed after {after:.1f} s ({kept} kept), then {again:.1f} s: {fault or 'same bytes'}", flush=True)
        wrong, done = wrong + bool(fault), done + 1
    return wrong


def main() -> int:
    """Run it; return 1 where something was not as it should be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--moments", type=int, default=10)
    parser.add_argument("--only", choices=COMMANDS, action="append")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    wrong = 0
    for name in options.only or COMMANDS:
        print(name, flush=True)
        with TemporaryDirectory() as folder:
            wrong += judged(COMMANDS[name], options.moments, random.Random(options.seed), Path(folder))
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
