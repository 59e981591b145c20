"""``optimise-onnx recipes``."""

import textwrap

from ..terminal import Terminal
from . import options as o


@o.command
def recipes(out: Terminal) -> None:
    """List the recipes that compress --recipe follows: papers, what differs, and the passes."""
    from ..recipes import RECIPES

    for name, recipe in RECIPES.items():
        out.say(f"{name}: {recipe.paper}")
        for text in (recipe.differs, recipe.pipeline):
            out.say(textwrap.indent(text, "    "))
