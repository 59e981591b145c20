"""Judges many mutants in processes that end when one takes too long, and says which ended badly."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from time import monotonic
from typing import NamedTuple

from .mutants import mutant

SECONDS = 60.0
ALLOWED = frozenset({0, 2, 3, 4, 5, 6})
HANG = -1000


class Verdict(NamedTuple):
    """How a command ended on a mutant: its exit code, minus a signal, or HANG; standard error, seconds, peak bytes."""

    number: int
    code: int
    said: str
    seconds: float = 0.0
    peak: int = 0

    @property
    def bad(self) -> bool:
        """Whether the code is none that a mutant may end with, or more was said or written than may be."""
        return self.code not in ALLOWED or self.said.count("\n") > 1 or self.said.startswith("wrote")

    def __str__(self) -> str:
        return f"{self.number} ended with {self.code} ({mutant(self.number)[1]}): {self.said.strip()[:300]}"


def survey(first: int, stop: int, seconds: float = SECONDS) -> Iterator[Verdict]:
    """Judge the mutants from ``first`` to before ``stop``, each within ``seconds``."""
    while first < stop:
        for verdict in _worker(first, stop, seconds):
            yield verdict
            first = verdict.number + 1


def _worker(first: int, stop: int, seconds: float) -> Iterator[Verdict]:
    """Yield verdicts until the process ends; the last is on the mutant that ended it."""
    command = [sys.executable, str(Path(__file__).with_name("worker.py")), str(first), str(stop)]
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, bufsize=1, env={**os.environ, **threads}
    ) as process:
        assert process.stdout is not None
        number, since = first, monotonic()
        while number < stop:
            ready, _, _ = select.select([process.stdout], [], [], seconds)
            line = process.stdout.readline() if ready else ""
            if not line:
                process.kill()
                code = process.wait() if ready else HANG
                yield Verdict(number, code, "", monotonic() - since)
                return
            number, code, said, peak = json.loads(line)
            yield Verdict(number, code, said, monotonic() - since, peak)
            number, since = number + 1, monotonic()
