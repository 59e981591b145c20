"""The programs that hardware is measured with: Verilator and Yosys."""

import subprocess
from collections.abc import Sequence
from pathlib import Path
from shutil import which

from ....ir.errors import LoweringError
from ...process import run

_LINES = 5


def run_tool(words: Sequence[str], package: str, folder: Path, limit: float) -> str:
    """Run a tool in a folder for at most ``limit`` seconds and return what it prints.

    Raises LoweringError naming the Debian package where the tool is missing, and where it fails or takes too long.
    """
    if which(words[0]) is None:
        raise LoweringError(f"{words[0]} is not installed", hint=f"on Debian: apt install {package}")
    try:
        ended = run(words, limit, folder)
    except subprocess.TimeoutExpired as error:
        raise LoweringError(f"{words[0]} took over {limit:g} seconds", hint="allow it more") from error
    if ended.status != 0:
        raise LoweringError(f"{words[0]} ended with code {ended.status}", why="; ".join(ended.last(_LINES)))
    return ended.out
