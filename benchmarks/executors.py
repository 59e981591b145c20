"""One sweep here, and on Dask clusters of workers on this machine, one of which is killed on the way.

Prints seconds, and exits with 1 where files differ. Every sweep begins with an empty cache. The scheduler and all
workers are processes of their own, one thread each.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from optimise_onnx.demo import load_samples, paths

LIMIT = 900.0
WAIT = 0.05


@dataclass
class Cluster:
    """A scheduler and its workers."""

    folder: Path
    stack: ExitStack
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)
    scheduler: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """Where the scheduler listens, once it does."""
        end = time.monotonic() + LIMIT
        while not (self.folder / "scheduler.json").exists():
            if time.monotonic() > end or (self.scheduler is not None and self.scheduler.poll() is not None):
                raise RuntimeError("the scheduler did not start: " + (self.folder / "scheduler-0.log").read_text())
            time.sleep(WAIT)
        found: str = json.loads((self.folder / "scheduler.json").read_text())["address"]
        return found

    def start(self, name: str, *more: str) -> subprocess.Popen[bytes]:
        """Start a part of it."""
        words = [sys.executable, "-m", "distributed.cli.dask_" + name, "--no-dashboard", *more]
        log = self.stack.enter_context((self.folder / f"{name}-{len(self.workers)}.log").open("wb"))
        process = subprocess.Popen(
            words, cwd=self.folder, stdout=log, stderr=log, env=os.environ | {"OMP_NUM_THREADS": "1"}
        )
        self.stack.callback(process.wait)
        self.stack.callback(process.kill)
        return process


@contextmanager
def cluster(count: int, folder: Path, boards: int = 0) -> Iterator[Cluster]:
    """Start a scheduler and ``count`` workers, the first of which have ``boards``, and end them with the block."""
    folder.mkdir()
    with ExitStack() as stack:
        found, file = Cluster(folder, stack), str(folder / "scheduler.json")
        found.scheduler = found.start("scheduler", "--host", "127.0.0.1", "--port", "0", "--scheduler-file", file)
        address = found.address
        for number in range(count):
            place = str(folder / f"worker-{number}")
            told = ["--nthreads", "1", "--no-nanny", "--local-directory", place]
            told += ["--resources", "board=1"] if number < boards else []
            found.workers.append(found.start("worker", address, *told))
        yield found


@dataclass(frozen=True)
class Sweeps:
    """Sweeps of one model, each into a folder of its own."""

    folder: Path
    words: Sequence[str]

    def start(self, name: str, *more: str) -> subprocess.Popen[str]:
        """Start one."""
        told = ["-o", name, "--cache", f"{name}-cache", *more]
        return subprocess.Popen(
            [sys.executable, "-m", "optimise_onnx", "sweep", *self.words, *told], cwd=self.folder,
            env=os.environ | {"OMP_NUM_THREADS": "1"}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    def ended(self, process: subprocess.Popen[str]) -> None:
        """Wait for its end. Raises RuntimeError where that is not a good one."""
        out, _ = process.communicate(timeout=LIMIT)
        if process.returncode:
            raise RuntimeError(out)

    def files(self, name: str) -> dict[str, bytes]:
        """Return the models that it has written."""
        return {path.name: path.read_bytes() for path in (self.folder / name).glob("*.onnx")}

    def finished(self, name: str) -> int:
        """Count the targets that are kept."""
        return len(list((self.folder / f"{name}-cache").glob("target-*.entry")))

    def timed(self, name: str, *more: str) -> float:
        """Run one to its end; return its seconds."""
        begun = time.perf_counter()
        self.ended(self.start(name, *more))
        return time.perf_counter() - begun

    def bereaved(self, name: str, found: Cluster) -> int:
        """Run one, kill a worker once the first target is finished, and return how many were then."""
        process = self.start(name, "--scheduler", found.address)
        while not self.finished(name) and process.poll() is None:
            time.sleep(WAIT)
        kept = self.finished(name)
        found.workers[0].kill()
        self.ended(process)
        return kept


def compared(sweeps: Sweeps, workers: int, timed: bool) -> bool:
    """Run it all; return whether all files are the same."""
    print(f"in process: {sweeps.timed('here'):.1f} s", flush=True)
    same = list[bool]()
    for count in (1, workers) if timed else ():
        with cluster(count, sweeps.folder / f"dask-{count}") as found:
            seconds = sweeps.timed(f"on-{count}", "--scheduler", found.address)
            same.append(sweeps.files(f"on-{count}") == sweeps.files("here"))
            print(f"{count} workers: {seconds:.1f} s, same bytes: {same[-1]}", flush=True)
    with cluster(workers, sweeps.folder / "dask-killed") as found:
        kept = sweeps.bereaved("killed", found)
    same.append(sweeps.files("killed") == sweeps.files("here"))
    said = f"{workers} workers, one killed after {kept} of {len(sweeps.files('here'))} targets"
    print(f"{said}, same bytes: {same[-1]}", flush=True)
    return all(same) and bool(sweeps.files("here"))


def main() -> int:
    """Run it; return 1 where files differ."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, help="the digits network unless given, with --data")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--targets", default="auto:8")
    parser.add_argument("--samples", type=int, default=256, help="of the digits")
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--only-killed", action="store_true", help="compare without timing")
    options = parser.parse_args()
    with TemporaryDirectory() as name:
        folder = Path(name)
        model, data = options.model or paths()[0], (options.data or folder / "data.npz").resolve()
        if options.data is None:
            np.savez(data, image=load_samples().calibration[: options.samples])
        told = ["--targets", options.targets, "--data", str(data), "--align", "1", "--no-guard", "--threads", "1"]
        return int(
            not compared(Sweeps(folder, [str(model.resolve()), *told]), options.workers, not options.only_killed)
        )


if __name__ == "__main__":
    sys.exit(main())
