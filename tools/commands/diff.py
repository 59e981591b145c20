"""``optimise-onnx diff``."""

from pathlib import Path
from typing import Annotated

import typer

from ..files import check_outputs, write
from ..terminal import Terminal
from . import options as o

Page = Annotated[Path | None, typer.Option("--html", metavar="F.html", help="Write a page to look at.")]


@o.command
def diff(
    out: Terminal,
    a: o.First,
    b: o.Second,
    page: Page = None,
    json_file: o.Json = None,
    input_shapes: o.InputShapes = None,
) -> None:
    """Show what differs between two models, node by node, and what each layer costs in both. Compares no outputs."""
    check_outputs([page, json_file], [a, b])
    from .. import table
    from ..differences import differences
    from ..output import write_json

    found = differences(a, b, input_shapes)
    out.say(table.plain(("", "node", "operator", "output", "weights"), found.rows))
    out.say(found.changes.said)
    out.say(found.costs)
    if page is not None:
        write({page: [found.page().encode()]})
        out.say(f"wrote {page}")
    write_json(out, json_file, found.to_json())
