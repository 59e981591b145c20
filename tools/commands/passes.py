"""``optimise-onnx passes``."""

import inspect

import typer

from .options import NoColour, Quiet, Verbose, terminal


def passes(context: typer.Context, quiet: Quiet = False, verbose: Verbose = 0, no_colour: NoColour = False) -> None:
    """List the passes with their options."""
    from ...passes.pipelines import known_passes
    from ...passes.syntax import options

    out = terminal(context, quiet, verbose, no_colour)
    for name, kind in known_passes().items():
        about = (inspect.getdoc(kind) or "").split("\n\n")[0].replace("``", "")
        out.say(f"{name}: {' '.join(about.split())}")
        for option, type_name, default in options(kind):
            out.say(f"    {option}={default or '…'}  ({type_name})")
