"""Commands that are killed, ended, or run side by side: what they leave. Prints counts; exits with 1 on any other end.

An output is the old file or the new one, nothing else lies beside it, and no temporary file stays: after SIGTERM at
once, after SIGKILL once the next run has swept.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from optimise_onnx.demo import load_samples, paths

OLD, NEW = "macs=0.9x", "macs=0.7x"
FILES = ("out.onnx", "r.json")
CODES = {signal.SIGTERM: (130, 0), signal.SIGKILL: (-9, 0)}
EARLY = 0.2  # seconds in which Python itself starts, and takes SIGTERM as any program does
LIMIT = 600.0


@dataclass(frozen=True)
class Place:
    """A folder with a network and samples, one for temporary files, and one for the cache."""

    folder: Path

    def __post_init__(self) -> None:
        for name in ("work", "temporary", "cache"):
            (self.folder / name).mkdir()
        self.file("in.onnx").write_bytes(paths()[0].read_bytes())
        np.savez(self.file("data.npz"), image=load_samples().calibration[:64])

    def file(self, name: str) -> Path:
        """Return a file of the folder to work in."""
        return self.folder / "work" / name

    def start(self, target: str) -> subprocess.Popen[str]:
        """Start a compression."""
        told = {"OPTIMISE_ONNX_CACHE": str(self.folder / "cache"), "TMPDIR": str(self.folder / "temporary")}
        words = ["compress", "in.onnx", "-o", FILES[0], "--report", FILES[1], "--data", "data.npz", "--target", target]
        return subprocess.Popen(
            [sys.executable, "-m", "optimise_onnx", *words, "--align", "1", "--no-guard", "--threads", "1"],
            cwd=self.folder / "work", env=os.environ | told | {"OMP_NUM_THREADS": "1"},
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def made(self, target: str) -> dict[str, bytes]:
        """Run a compression to its end and return its files."""
        process = self.start(target)
        _, complaint = process.communicate(timeout=LIMIT)
        assert (process.returncode, complaint) == (0, ""), complaint
        return self.files()

    def files(self) -> dict[str, bytes]:
        """Return the files that a compression writes."""
        return {name: self.file(name).read_bytes() for name in FILES}

    def put(self, files: dict[str, bytes]) -> None:
        """Put files in their places."""
        for name, content in files.items():
            self.file(name).write_bytes(content)

    def left(self) -> list[str]:
        """Name what a compression should not have left."""
        known = {*FILES, "in.onnx", "data.npz"}
        own = [path.name for path in (self.folder / "work").iterdir() if path.name not in known]
        return own + [path.name for path in (self.folder / "temporary").iterdir()]

    def age(self) -> None:
        """Make temporary files as old as those that the next run may sweep."""
        for path in (self.folder / "temporary").iterdir():
            os.utime(path, (0, 0))


def generation(files: dict[str, bytes], old: dict[str, bytes], new: dict[str, bytes]) -> str:
    """Say which run the files are from. A report says for which target; its figures of time are never the same."""
    model, report = files[FILES[0]], json.loads(files[FILES[1]])["target"]
    known = {(old[FILES[0]], OLD): "old", (new[FILES[0]], NEW): "new"}
    return known.get((model, report), "neither")


def ended(place: Place, by: signal.Signals, after: float) -> tuple[int, str] | None:
    """Start a compression, send a signal, and return its code and what it complained of; None where it was done."""
    process = place.start(NEW)
    try:
        process.wait(after)
    except subprocess.TimeoutExpired:
        process.send_signal(by)
        _, complaint = process.communicate(timeout=LIMIT)
        return process.returncode, complaint
    process.communicate()
    return None


def problems(place: Place, by: signal.Signals, after: float, code: int, complaint: str) -> list[str]:
    """List what is not as it should be after a signal."""
    allowed = (*CODES[by], -15) if after < EARLY else CODES[by]
    found = [] if code in allowed else [f"code {code}"]
    if complaint != ("error: interrupted\n" if code == 130 else ""):
        found.append(f"said {complaint!r}")
    if by == signal.SIGKILL:
        place.age()
        subprocess.run(
            [sys.executable, "-c", "from optimise_onnx.ir.scratch import scratch\nwith scratch(): pass"],
            env=os.environ | {"TMPDIR": str(place.folder / "temporary")}, check=True,
        )  # fmt: skip
    return found + [f"left {name}" for name in place.left()]


def judged(
    place: Place,
    by: signal.Signals,
    after: float,
    seen: tuple[int, str],
    both: tuple[dict[str, bytes], ...],
    counts: Counter[str],
) -> bool:
    """Count and print how a command ended; return whether something was not as it should be."""
    which = generation(place.files(), *both)
    found = problems(place, by, after, *seen) + ["neither the old files nor the new ones"] * (which == "neither")
    counts[f"{by.name}: code {seen[0]}, {which} files"] += 1
    print(f"{by.name} after {after:.2f} s: code {seen[0]}, {which} files", *found, flush=True)
    return bool(found)


def side_by_side(place: Place) -> list[str]:
    """Run two compressions to one output with one cache; list what is not as it should be."""
    both = [place.start(NEW) for _ in range(2)]
    said = [process.communicate(timeout=LIMIT)[1] for process in both]
    codes = [process.returncode for process in both]
    return [f"codes {codes}, said {said}"] * (codes != [0, 0] or any(said)) + [f"left {one}" for one in place.left()]


def main() -> int:
    """Run it all; return 1 when something was not as it should be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--moments", type=int, default=40)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    drawn, counts, wrong = random.Random(options.seed), Counter[str](), 0
    with TemporaryDirectory() as folder:
        place = Place(Path(folder))
        old = place.made(OLD)
        begun = time.perf_counter()
        new = place.made(NEW)
        whole = time.perf_counter() - begun
        while counts.total() < options.moments:
            by, after = list(CODES)[counts.total() % 2], drawn.uniform(0.0, whole)
            place.put(old)
            found = ended(place, by, after)
            if found is None:  # the machine is quicker now
                whole = after
                continue
            wrong += judged(place, by, after, found, (old, new), counts)
        for _ in range(options.pairs):
            place.put(old)
            said, which = side_by_side(place), generation(place.files(), old, new)
            counts[f"two at once: {which} files"] += 1
            wrong += bool(said) or which != "new"
            print("two at once:", which, *said, flush=True)
    print(json.dumps(counts, indent=1))
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
