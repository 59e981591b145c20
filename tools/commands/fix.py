"""``optimise-onnx fix``."""

from typing import Annotated

import typer

from ...ir.errors import UsageError
from ..files import check_outputs
from ..terminal import Terminal
from . import options as o

Values = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="An input, and the value it always has (repeatable)."),
]


@o.command
def fix(
    out: Terminal,
    source: o.Model,
    place: o.Place = None,
    values: Values = None,
    output: o.MaybeOutput = None,
    data: o.Data = None,
    input_shapes: o.InputShapes = None,
    trust: o.Trust = False,
    json_file: o.Json = None,
) -> None:
    """Make inputs that always have one value part of the model, and sizes of --input-shape the only ones it takes.

    Branches that these decide are written out, so that channels can go from them. Outputs are compared on --data, or at
    random.
    """
    output = o.needed(o.written(place, output), "add -o OUT.onnx")
    check_outputs([output, json_file], [source, data])
    if not values and not input_shapes:
        raise UsageError("nothing is to be held", hint="give --set NAME=VALUE or --input-shape NAME:D0,D1,...")
    from ..fixing import fixed, parsed
    from ..output import save

    found = fixed(source, parsed(values or ()), input_shapes, data, trust=trust)
    for line in found.lines:
        out.say(line)
    save(out, found.graph, output, values={json_file: {"held": found.held, "notes": list(found.lines)}})
