"""The command line: wires the commands, and turns errors into one line and an exit code."""

from __future__ import annotations

import errno
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from .. import __version__
from ..ir.errors import OptimiseOnnxError
from .commands.analyse import analyse
from .commands.bench import bench
from .commands.cache import cache
from .commands.compress import compress
from .commands.demo import demo
from .commands.diff import diff
from .commands.examples import shown
from .commands.explain import explain
from .commands.fix import fix
from .commands.hls import hls
from .commands.init import init
from .commands.passes import passes
from .commands.recipes import recipes
from .commands.replay import replay
from .commands.run import run
from .commands.sweep import sweep
from .commands.verify import verify
from .process import ENDING, INTERRUPTED, hushed
from .terminal import Terminal

OUR_BUG, USAGE = 1, 2
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS}

app = typer.Typer(
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Make trained ONNX networks smaller and faster.",
)


def _say_version(context: typer.Context, asked: bool) -> None:
    if asked:
        context.obj.say(f"optimise-onnx {__version__}")
        raise typer.Exit


@app.callback()
def about(
    version: Annotated[
        bool, typer.Option("--version", callback=_say_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Make trained ONNX networks smaller and faster."""


for _panel, _commands in {
    "Make a model smaller": (init, compress, sweep, replay, fix, run),
    "Look at models": (analyse, explain, diff, verify, bench),
    "Hardware": (hls,),
    "About the program": (demo, recipes, passes, cache),
}.items():
    for _command in _commands:
        app.command(rich_help_panel=_panel, epilog=shown(_command.__name__))(_command)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code.

    0 done, 1 our bug, 2 wrong usage, 3 unreadable or invalid model or data, 4 target not met, 5 verification failed,
    6 operator without a rule under ``--strict``, or that hardware cannot hold, 130 interrupted.
    """
    terminal = Terminal()
    given = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    try:
        with hushed(terminal):
            code = app(given, prog_name="optimise-onnx", standalone_mode=False, obj=terminal)
    except (Exception, KeyboardInterrupt) as error:
        return _explain(error, terminal)
    if code == INTERRUPTED:  # newer versions of typer make this of an interrupt, older ones raise Abort
        terminal.fail("interrupted")
    return code if isinstance(code, int) else 0


def _explain(error: BaseException, terminal: Terminal) -> int:
    """Say in one line what ended a command, and return the exit code."""
    if ENDING.asked or isinstance(error, KeyboardInterrupt | typer.Abort):  # native code makes other errors of it
        terminal.fail("interrupted")
        return INTERRUPTED
    if isinstance(error, OptimiseOnnxError):
        terminal.fail(str(error), error)
        return error.exit_code
    if isinstance(error, OSError) and error.errno in _FULL:
        terminal.fail(f"{error.strerror}" + (f": '{error.filename}'" if error.filename else ""), error)
        return USAGE
    # Typer's usage errors come from its own click or the installed one, by version: they share this method only.
    message = getattr(error, "format_message", None)
    if message is not None:
        terminal.fail(message(), error)
        return USAGE
    terminal.fail(f"internal error: {type(error).__name__}: {error}; please report it, with -vv", error)
    return OUR_BUG
