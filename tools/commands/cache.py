"""``optimise-onnx cache``."""

from typing import Annotated

import typer

from ...ir.errors import UsageError
from ..terminal import Terminal
from . import options as o

INFO, CLEAR = "info", "clear"

Action = Annotated[str, typer.Argument(metavar="info|clear", help="Say what is kept, or remove it.")]
Folder = Annotated[str | None, typer.Option("--cache", metavar="DIR", help="Another folder than the usual one.")]


@o.command
def cache(out: Terminal, action: Action = INFO, folder: Folder = None, json_file: o.Json = None) -> None:
    """Say what measurements are kept between runs, and where, or remove them."""
    from ...ir.quantity import scaled
    from ...passes.cache import DiskCache
    from ..files import check_outputs
    from ..output import write_json

    if action not in (INFO, CLEAR):
        raise UsageError(f"there is no '{action}' of the cache", hint=f"one of {INFO}, {CLEAR}")
    check_outputs([json_file])
    kept = DiskCache.at(folder)
    if not isinstance(kept, DiskCache):
        return
    sizes = kept.sizes()
    told = {"folder": str(kept.folder), "entries": len(sizes), "bytes": sum(sizes), "limit": kept.limit}
    held = f"{len(sizes)} entries, {scaled(float(sum(sizes)))}B"
    if action == CLEAR:
        kept.clear()
        out.say(f"{kept.folder}: removed {held}")
    else:
        out.say(f"{kept.folder}: {held} of {scaled(float(kept.limit))}B; beyond, what was not used for longest goes")
    write_json(out, json_file, {**told, "removed": action == CLEAR})
