"""``optimise-onnx explain``."""

from pathlib import Path
from typing import Annotated

import typer

from ..terminal import Terminal
from . import options as o

Layer = Annotated[str, typer.Argument(metavar="LAYER", help="A node or a tensor by its name.", show_default=False)]
From = Annotated[
    Path | None, typer.Option("--report", metavar="OUT.json", help="Also say what a compression measured of it.")
]


@o.command
def explain(
    out: Terminal,
    source: o.Model,
    layer: Layer,
    report: From = None,
    json_file: o.Json = None,
    input_shapes: o.InputShapes = None,
) -> None:
    """Say what ties the channels of a layer, why they can or cannot go, and how much the outputs depend on them."""
    from .. import api
    from ..files import check_outputs
    from ..output import write_json
    from ..sensitive import sensitive

    check_outputs([json_file], [source])
    found = api.analyse(source, input_shapes=input_shapes)
    answer = found.why(layer)
    told = [] if report is None else sensitive(found.channels, answer, report)
    for text in (str(answer), *map(str, told)):
        out.say(text)
    write_json(out, json_file, {**answer.to_json(), "sensitivity": [one.to_json() for one in told]})
