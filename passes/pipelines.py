"""The passes by name, and the pipelines that ``compress`` runs. The only module that sees every stage."""

from __future__ import annotations

from ..ir.registry import Registry
from .allocate.allocate import Allocate
from .allocate.search import Search
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
from .reconstruct.narrow_norms import NarrowNorms
from .reconstruct.reconstruct import Reconstruct
from .reconstruct.refit_scales import RefitScales
from .reconstruct.require_gradients import RequireGradients
from .reconstruct.tune import Tune
from .search.meet_target import MeetTarget
from .select.bind_groups import BindGroups, FreeGroups
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
    "require-gradients": RequireGradients,
    "bind-groups": BindGroups,
    "sample-inputs": SampleInputs,
    "select-channels": SelectChannels,
    "offer-forms": OfferForms,
    "allocate": Allocate,
    "search": Search,
    "remove-channels": RemoveChannels,
    "narrow-norms": NarrowNorms,
    "decompose": Decompose,
    "fold-channels": FoldChannels,
    "reconstruct": Reconstruct,
    "refit-scales": RefitScales,
    "tune": Tune,
    "drop-samplers": DropSamplers,
    "free-groups": FreeGroups,
    "meet-target": MeetTarget,
}

FIRST = "fold-constants"
"""Makes every shape and weight known; costs before count from here."""

EXACT = "fold-batch-norm,fold-padding,remove-dead-channels,merge-duplicate-channels"
"""Makes a model smaller without changing its outputs."""

_KNOWN = Registry("pass", "optimise_onnx.passes", PASSES, kind=type)


def known_passes() -> Registry[type[Pass]]:
    """Return our passes and those that installed packages offer under ``optimise_onnx.passes``."""
    return _KNOWN
