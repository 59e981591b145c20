"""What a command may print: results on standard output, progress and errors on standard error."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

_FILE_WIDTH = 140
QUIET, NORMAL, VERBOSE, DEBUG = -1, 0, 1, 2


@dataclass
class Terminal:
    """``verbosity`` runs from QUIET to DEBUG; colours also go when NO_COLOR is set or the output is no terminal."""

    verbosity: int = NORMAL
    colour: bool = True

    def say(self, text: RenderableType, level: int = NORMAL) -> None:
        """Print a result or a remark, unless it is above the verbosity."""
        if self.verbosity >= level:
            self._console(stderr=False).print(text, markup=False, highlight=False, soft_wrap=isinstance(text, str))

    def fail(self, message: str, error: BaseException | None = None) -> None:
        """Print ``error: message`` on one line, and the traceback when debugging."""
        console = self._console(stderr=True)
        if error is not None and self.verbosity >= DEBUG:
            console.print("".join(traceback.format_exception(error)), markup=False, highlight=False, soft_wrap=True)
        line = " ".join(message.split())
        console.print("[bold red]error:[/] ", end="")
        console.print(line, markup=False, highlight=False, soft_wrap=True)

    @contextmanager
    def progress(self) -> Iterator[Callable[[str, float], None]]:
        """Yield ``report(text, share)``, shown as a bar while the block runs, on terminals only."""
        console = self._console(stderr=True)
        if self.verbosity < NORMAL or not console.is_terminal:
            yield lambda _text, _share: None
            return
        columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
        with Progress(*columns, console=console, transient=True) as bar:
            task = bar.add_task("starting", total=1.0)
            yield lambda text, share: bar.update(task, description=text, completed=share)

    def _console(self, stderr: bool) -> Console:
        plain = not self.colour or "NO_COLOR" in os.environ
        console = Console(stderr=stderr, no_color=plain, color_system=None if plain else "auto")
        if not console.is_terminal:
            console.width = _FILE_WIDTH
        return console
