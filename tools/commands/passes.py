"""``optimise-onnx passes``."""

import inspect

from ..terminal import Terminal
from . import options as o


@o.command
def passes(out: Terminal) -> None:
    """List the passes with their options."""
    from ...passes.pipelines import known_passes
    from ...passes.syntax import options

    for name, kind in known_passes().items():
        about = (inspect.getdoc(kind) or "").split("\n\n")[0].replace("``", "")
        out.say(f"{name}: {' '.join(about.split())}")
        for option, type_name, default in options(kind):
            out.say(f"    {option}={default or '...'}  ({type_name})")
