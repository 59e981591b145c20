"""``optimise-onnx analyse``."""

from ..files import check_outputs
from ..terminal import Terminal
from . import options as o


@o.command
def analyse(
    out: Terminal,
    source: o.Model,
    why: o.Why = None,
    json_file: o.Json = None,
    input_shapes: o.InputShapes = None,
    trust: o.Trust = False,
) -> None:
    """List groups of coupled channels, what has to stay and why, and the cost of each layer. Writes no model."""
    check_outputs([json_file], [source])
    from .. import api, table
    from ..output import write_json

    found = api.analyse(source, input_shapes=input_shapes, trust=trust)
    for note in found.notes:
        out.say(note)
    answer = None if why is None else found.why(why)
    if answer is None:
        out.say(table.costs(found))
        out.say(table.groups(found))
        out.say(table.free(found))
        if found.pins:
            out.say(table.pins(found.pins))
    else:
        out.say(str(answer))
    write_json(out, json_file, found.to_json() if answer is None else answer.to_json())
