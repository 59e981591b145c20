"""Runs commands on mutants, one after the other, and prints a line for each: number, exit code, what was said.

Usage: worker.py FIRST STOP; a process of its own, which the survey ends when a mutant takes too long.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import resource
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from fuzz.mutants import mutant

from optimise_onnx.tools import sizing
from optimise_onnx.tools.cli import main

MEMORY = 4 * 2**30
_OPTIONS = ("--target", "params=0.8x", "--no-cache", "--align", "1", "--no-guard", "--report", "r.json")
_LOOPS = 2.0  # seconds that a run with loops may take; fewer than a user's
_COMPRESSED = 3  # one of so many mutants is compressed, the others are analysed


def judged(number: int) -> tuple[int, str]:
    """Return the exit code of a command on a mutant and its lines on standard error; "wrote" where it should not have.

    The current folder holds nothing.
    """
    content, _ = mutant(number)
    Path("in.onnx").write_bytes(content)
    compress = ("compress", "in.onnx", "-o", "out.onnx", *_OPTIONS)
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(compress if number % _COMPRESSED == 0 else ("analyse", "in.onnx"))
    held = {path.name for path in Path().iterdir()} - {"in.onnx"}
    said = err.getvalue()
    if held - ({"out.onnx", "r.json"} if code == 0 else set()):
        said = f"wrote {sorted(held)}\n{said}"
    for path in Path().iterdir():
        path.unlink()
    return code, said


def work(first: int, stop: int) -> None:
    """Judge mutants in a folder of their own."""
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    sizing._SECONDS = _LOOPS
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for number in range(first, stop):
            code, said = judged(number)
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
            print(json.dumps([number, code, said, peak]), flush=True)
        os.chdir("/")


if __name__ == "__main__":
    work(int(sys.argv[1]), int(sys.argv[2]))
