"""The passes by name, and the pipeline that ``compress`` runs. The only module that sees every stage."""

from __future__ import annotations

from importlib.metadata import entry_points

from ..ir.errors import UsageError
from .base import Pass

PASSES: dict[str, type[Pass]] = {}

_ENTRY_POINTS = "optimise_onnx.passes"


def known_passes() -> dict[str, type[Pass]]:
    """Return our passes and those of installed packages that offer some under ``optimise_onnx.passes``.

    Raises UsageError when one of those takes a name of ours or cannot be imported.
    """
    found = dict(PASSES)
    for entry in entry_points(group=_ENTRY_POINTS):
        if entry.name in found:
            raise UsageError(f"the entry point '{entry.value}' offers a pass called '{entry.name}', which exists already")
        try:
            found[entry.name] = entry.load()
        except (AttributeError, ImportError) as error:
            raise UsageError(f"the pass '{entry.name}' of '{entry.value}' cannot be imported", why=str(error)) from error
    return found
