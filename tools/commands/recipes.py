"""``optimise-onnx recipes``."""

import textwrap

from ..terminal import Terminal
from . import options as o


@o.command
def recipes(out: Terminal, json_file: o.Json = None) -> None:
    """List the recipes that compress --recipe follows: papers, what differs, and the passes; and the files for -c."""
    from ..files import check_outputs
    from ..output import write_json
    from ..recipe_file import shipped
    from ..recipes import RECIPES

    check_outputs([json_file])
    for name, recipe in RECIPES.items():
        out.say(f"{name}: {recipe.paper}")
        for text in (recipe.differs, recipe.pipeline):
            out.say(textwrap.indent(text, "    "))
    out.say("files for compress -c NAME:")
    recipe_files = shipped()
    for name, about in recipe_files.items():
        out.say(f"    {name}: {about}")
    told = {
        name: {"paper": recipe.paper, "differs": recipe.differs, "pipeline": recipe.pipeline}
        for name, recipe in RECIPES.items()
    }
    write_json(out, json_file, {"recipes": told, "files": recipe_files})
