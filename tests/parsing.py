"""Whether a command line is one that the program reads, without running it."""

import shlex

from typer.main import get_command

from optimise_onnx.tools.cli import app

PROGRAM = "optimise-onnx"


def parse(line: str) -> str:
    """Parse a line as a shell would hand it over, and return the command's name. Raises for what there is not."""
    program, *words = shlex.split(line, comments=True)
    group = get_command(app)
    context = group.make_context(PROGRAM, words[:1], resilient_parsing=True)
    command = group.get_command(context, words[0])  # type: ignore[attr-defined]
    assert program == PROGRAM and command is not None, line
    command.make_parser(context).parse_args(words[1:])  # raises for an option that there is not
    return words[0]
