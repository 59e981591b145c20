"""``optimise-onnx init``."""

from typing import Annotated

import typer

from ..terminal import Terminal
from . import options as o

Where = Annotated[
    str | None,
    typer.Argument(metavar="[DATA]", help="Samples, as --data of compress; else what lies beside the model is tried."),
]


@o.command
def init(out: Terminal, source: o.Model, data: Where = None, json_file: o.Json = None, trust: o.Trust = False) -> None:
    """Look at a model and its samples, and print the command to run, with a reason for each option. Runs nothing."""
    from .. import table
    from ..files import check_outputs
    from ..output import write_json
    from ..proposal import propose

    check_outputs([json_file], [source, data])
    found = propose(source, data, trust)
    if found.options:
        out.say(table.plain(("option", "why"), [(" ".join(each.words), each.why) for each in found.options]))
    for note in found.notes:
        out.say(note)
    out.say(f"\n{found}")
    write_json(out, json_file, found.to_json())
