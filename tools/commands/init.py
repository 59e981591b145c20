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
    from ..files import check_output
    from ..output import write_json
    from ..proposal import propose

    if json_file is not None:
        check_output(json_file, [source, *([data] if data else [])])
    found = propose(source, data, trust)
    if found.options:
        out.say(table.plain(("option", "why"), [(" ".join(each.words), each.why) for each in found.options]))
    for note in found.notes:
        out.say(note)
    out.say(f"\n{found}")
    if json_file is not None:
        write_json(json_file, found.to_json())
        out.say(f"wrote {json_file}")
