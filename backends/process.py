"""Programs that others have written, run to their end or stopped with all that they have started."""

import os
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Ended:
    """The exit status of a program, negative for a signal, and what it has printed."""

    status: int
    out: str
    err: str

    def last(self, lines: int) -> list[str]:
        """Return the end of its complaints, or of what it printed when it had none."""
        return (self.err or self.out).strip().splitlines()[-lines:]


def run(words: Sequence[str], limit: float, folder: Path | None = None) -> Ended:
    """Run a program in a folder, without input, for at most ``limit`` seconds.

    Raises OSError when it cannot be started, subprocess.TimeoutExpired when it takes longer. Whatever ends the wait
    early ends the program too, and those that it has started.
    """
    pipe = subprocess.PIPE
    with subprocess.Popen(
        words, cwd=folder, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe,
        encoding="utf-8", errors="replace", start_new_session=True,
    ) as process:  # fmt: skip
        try:
            out, err = process.communicate(timeout=limit)
        except BaseException:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            raise
    return Ended(process.returncode, out, err)
