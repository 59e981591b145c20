"""``optimise-onnx analyse``."""

import json
from pathlib import Path
from typing import Annotated

import typer

from ..files import check_output, write
from .options import Model, NoColour, Quiet, Verbose, terminal


def analyse(
    context: typer.Context,
    source: Model,
    json_file: Annotated[Path | None, typer.Option("--json", metavar="F", help="Write all of it as JSON.")] = None,
    quiet: Quiet = False,
    verbose: Verbose = 0,
    no_colour: NoColour = False,
) -> None:
    """List groups of coupled channels, what has to stay and why, and the cost of each layer. Writes no model."""
    from ...ir.cost import total
    from .. import api, table

    out = terminal(context, quiet, verbose, no_colour)
    if json_file is not None:
        check_output(json_file, [source])
    found = api.analyse(source)
    layers = [(node, found.costs[node.name]) for node in found.graph.nodes]
    rows = [
        (node.name, node.op, *(table.short(n).strip() for n in (own.macs, own.parameters, own.bytes)))
        for node, own in layers
        if own.macs or own.parameters
    ]
    whole = total(found.costs)
    rows.append(("total", "", *(table.short(n).strip() for n in (whole.macs, whole.parameters, whole.bytes))))
    out.say(table.plain(("layer", "operator", "MACs", "parameters", "bytes"), rows))
    groups = [
        (g.name, str(g.width), str(len(g.cells)), ", ".join(g.members[1:4]) + (", …" if len(g.members) > 4 else ""))
        for g in found.channels.groups
    ]
    out.say(table.plain(("group of channels", "width", "cells", "coupled with"), groups))
    out.say(table.pins(found.pins) if found.pins else "nothing is pinned: every channel can go")
    if json_file is not None:
        write(json_file, (json.dumps(found.to_json(), indent=2) + "\n").encode())
        out.say(f"wrote {json_file}")
