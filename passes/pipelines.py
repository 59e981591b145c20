"""The passes by name, and the pipelines that ``compress`` runs. The only module that sees every stage."""

from __future__ import annotations

from importlib.metadata import entry_points

from ..ir.errors import UsageError
from .allocate.pass_ import Allocate
from .base import Pass
from .reconstruct.pass_ import Reconstruct
from .select.pass_ import SelectChannels
from .select.remove import RemoveChannels
from .syntax import join

PASSES: dict[str, type[Pass]] = {
    "select-channels": SelectChannels,
    "allocate": Allocate,
    "remove-channels": RemoveChannels,
    "reconstruct": Reconstruct,
}
_TODO = {
    "fold-constants": ("constants", "FoldConstants"),
    "fold-batch-norm": ("batch_norm", "FoldBatchNorm"),
    "remove-dead-channels": ("dead", "RemoveDeadChannels"),
    "merge-duplicate-channels": ("duplicate", "MergeDuplicateChannels"),
}
import importlib

for _n, (_m, _c) in reversed(_TODO.items()):
    try:
        PASSES = {_n: getattr(importlib.import_module(f".cleanup.{_m}", __package__), _c), **PASSES}
    except ImportError:
        pass

EXACT = ",".join(n for n in _TODO if n in PASSES)

_ENTRY_POINTS = "optimise_onnx.passes"


def lossy_pipeline(
    target: str,
    *,
    criterion: str,
    keep_nodes: str = "",
    keep_types: str = "",
    align: int = 1,
    max_ratio: float | None = None,
) -> str:
    """Write the passes that spend accuracy to meet ``target``; the options are those of the passes."""
    return join(
        (
            SelectChannels(criterion=criterion, keep_nodes=keep_nodes, keep_types=keep_types),
            Allocate(target=target, align=align, max_ratio=1.0 if max_ratio is None else max_ratio),
            RemoveChannels(),
            Reconstruct(),
        )
    )


def known_passes() -> dict[str, type[Pass]]:
    """Return our passes and those of installed packages that offer some under ``optimise_onnx.passes``.

    Raises UsageError when one of those takes a name of ours or cannot be imported.
    """
    found = dict(PASSES)
    for entry in entry_points(group=_ENTRY_POINTS):
        if entry.name in found:
            raise UsageError(
                f"the entry point '{entry.value}' offers a pass called '{entry.name}', which exists already"
            )
        try:
            found[entry.name] = entry.load()
        except (AttributeError, ImportError) as error:
            raise UsageError(
                f"the pass '{entry.name}' of '{entry.value}' cannot be imported", why=str(error)
            ) from error
    return found
