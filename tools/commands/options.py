"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

from ..terminal import QUIET, Terminal

Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Print errors only.")]
Verbose = Annotated[int, typer.Option("-v", "--verbose", count=True, help="Say more; -vv also shows tracebacks.")]
NoColour = Annotated[bool, typer.Option("--no-colour", help="No colours; the variable NO_COLOR does the same.")]

Model = Annotated[Path, typer.Argument(metavar="IN.onnx", help="The model to read.", show_default=False)]
Data = Annotated[
    str | None,
    typer.Option(
        metavar="D", help="Samples: an .npz whose keys are the inputs, a folder of them, or script.py:function."
    ),
]
Count = Annotated[int | None, typer.Option(min=1, metavar="N", help="Use the first N samples.")]
Seed = Annotated[int, typer.Option(min=0, metavar="S", help="Seed of all randomness.")]
Threads = Annotated[int, typer.Option(min=0, metavar="N", help="Threads for onnxruntime; 0 leaves it the choice.")]


def terminal(context: typer.Context, quiet: bool, verbose: int, no_colour: bool) -> Terminal:
    """Set the run's terminal as asked and return it."""
    found: Terminal = context.obj
    found.verbosity = QUIET if quiet else min(verbose, 2)
    found.colour = not no_colour
    return found
