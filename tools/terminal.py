"""What a command may print: results on standard output, progress, notes and errors on standard error."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

from ..ir.names import printable

_FILE_WIDTH = 140
Report = Callable[[str, float], None]
QUIET, NORMAL, VERBOSE, DEBUG = -1, 0, 1, 2


@dataclass
class Terminal:
    """``verbosity`` runs from QUIET to DEBUG; colours also go when NO_COLOR is set or the output is no terminal.

    Names in models and of files are printed as they are, but for characters that would move or deceive a terminal.
    """

    verbosity: int = NORMAL
    colour: bool = True
    _noted: list[str] = field(default_factory=list, repr=False)

    @property
    def debugging(self) -> bool:
        """Whether everything is to be said."""
        return self.verbosity >= DEBUG

    def say(self, text: RenderableType, level: int = NORMAL) -> None:
        """Print a result or a remark, unless it is above the verbosity."""
        if self.verbosity >= level:
            self._print(text, stderr=False)

    def note(self, message: str) -> None:
        """Print ``note: message`` on one line: the first of a command only, unless more is to be said."""
        self._noted.append(message)
        if self.verbosity >= (NORMAL if len(self._noted) == 1 else VERBOSE):
            self._print(f"note: {' '.join(message.split())}", stderr=True)

    def fail(self, message: str, error: BaseException | None = None) -> None:
        """Print ``error: message`` on one line, and the traceback when debugging."""
        if error is not None and self.debugging:
            self._print("".join(traceback.format_exception(error)), stderr=True)
        self._print(Text.assemble(("error:", "bold red"), " ", printable(" ".join(message.split()))), stderr=True)

    @contextmanager
    def progress(self) -> Iterator[Report]:
        """Yield ``report(text, share)``, shown as a bar while the block runs, on terminals only."""
        console = self._console(stderr=True)
        if self.verbosity < NORMAL or not console.is_terminal:
            yield _unseen
            return
        with self._bar(console) as bar:
            yield bar

    @contextmanager
    def _bar(self, console: Console) -> Iterator[Report]:
        left = (TimeRemainingColumn(), TextColumn("left"))
        columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn(), *left)
        with Progress(*columns, console=console, transient=True) as bar:
            task = bar.add_task("starting", total=1.0)
            yield lambda text, share: bar.update(task, description=printable(text), completed=share)

    @contextmanager
    def followed(self, report: Report | None) -> Iterator[Report]:
        """Yield ``report``; where that is None, a bar in notebooks, and nothing elsewhere."""
        if report is not None or not _in_notebook():
            yield report or _unseen
            return
        with self._bar(self._console(stderr=False)) as bar:
            yield bar

    @property
    def width(self) -> int:
        """Return how many characters a line of the output has."""
        return self._console(False).width

    def _print(self, text: RenderableType, stderr: bool) -> None:
        """Print, until nobody reads it any more: then the work goes on in silence."""
        shown = printable(text, "\n") if isinstance(text, str) else text
        try:
            self._console(stderr).print(shown, soft_wrap=isinstance(shown, str | Text), crop=False)
        except BrokenPipeError:
            _silence(stderr)

    def _console(self, stderr: bool) -> Console:
        plain = not self.colour or "NO_COLOR" in os.environ
        console = _Console(
            stderr=stderr, no_color=plain, color_system=None if plain else "auto",
            markup=False, highlight=False, emoji=False,
        )  # fmt: skip
        if not console.is_terminal:
            console.width = _FILE_WIDTH
        return console


def _unseen(_text: str, _share: float) -> None:
    """Show nothing of the progress."""


def _in_notebook() -> bool:
    """Whether a notebook would show a bar: rich draws it by ipywidgets there."""
    return Console().is_jupyter and find_spec("ipywidgets") is not None


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Let the caller decide what a reader that has gone means."""
        raise BrokenPipeError


def _silence(stderr: bool) -> None:
    stream = sys.stderr if stderr else sys.stdout
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
