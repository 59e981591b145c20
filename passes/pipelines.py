"""The passes by name, and the pipelines that ``compress`` runs. The only module that sees every stage."""

from __future__ import annotations

from importlib.metadata import entry_points

from ..ir.errors import UsageError
from .allocate.allocate import Allocate
from .base import Pass
from .cleanup.batch_norm import FoldBatchNorm
from .cleanup.constants import FoldConstants
from .cleanup.dead import RemoveDeadChannels
from .cleanup.duplicate import MergeDuplicateChannels
from .cleanup.padding import FoldPadding
from .cleanup.require_rules import RequireRules
from .decompose.decompose import Decompose
from .decompose.offer import OfferForms
from .reconstruct.fold_channels import FoldChannels
from .reconstruct.reconstruct import Reconstruct
from .search.meet_target import MeetTarget
from .select.remove_channels import RemoveChannels
from .select.sampler import DropSamplers, SampleInputs
from .select.select_channels import SelectChannels

PASSES: dict[str, type[Pass]] = {
    "fold-constants": FoldConstants,
    "fold-batch-norm": FoldBatchNorm,
    "fold-padding": FoldPadding,
    "remove-dead-channels": RemoveDeadChannels,
    "merge-duplicate-channels": MergeDuplicateChannels,
    "require-rules": RequireRules,
    "sample-inputs": SampleInputs,
    "select-channels": SelectChannels,
    "offer-forms": OfferForms,
    "allocate": Allocate,
    "remove-channels": RemoveChannels,
    "decompose": Decompose,
    "fold-channels": FoldChannels,
    "reconstruct": Reconstruct,
    "drop-samplers": DropSamplers,
    "meet-target": MeetTarget,
}

FIRST = "fold-constants"
"""Makes every shape and weight known; costs before count from here."""

EXACT = "fold-batch-norm,fold-padding,remove-dead-channels,merge-duplicate-channels"
"""Makes a model smaller without changing its outputs."""

_ENTRY_POINTS = "optimise_onnx.passes"


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
