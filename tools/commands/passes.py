"""``optimise-onnx passes``."""

import inspect

from ..terminal import Terminal
from . import options as o


@o.command
def passes(out: Terminal, json_file: o.Json = None) -> None:
    """List the passes with their options."""
    from ...passes.pipelines import known_passes
    from ...passes.syntax import options
    from ..files import check_outputs
    from ..output import write_json

    check_outputs([json_file])
    found = {}
    for name, kind in known_passes().items():
        about = " ".join((inspect.getdoc(kind) or "").split("\n\n")[0].replace("``", "").split())
        taken = [{"name": option, "type": held, "default": default} for option, held, default in options(kind)]
        found[name] = {"about": about, "options": taken}
        out.say(f"{name}: {about}")
        for each in taken:
            out.say(f"    {each['name']}={each['default'] or '...'}  ({each['type']})")
    write_json(out, json_file, found)
