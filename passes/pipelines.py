"""The passes by name, and the pipelines that ``compress`` runs. The only module that sees every stage."""

from __future__ import annotations

from ..ir.registry import Registry
from .allocate.allocate import Allocate
from .base import Pass
from .cleanup.batch_norm import FoldBatchNorm
from .cleanup.constants import FoldConstants
from .cleanup.dead import RemoveDeadChannels
from .cleanup.duplicate import MergeDuplicateChannels
from .cleanup.padding import FoldPadding
from .decompose.decompose import Decompose
from .decompose.offer import OfferForms
from .reconstruct.fold_channels import FoldChannels
from .reconstruct.reconstruct import Reconstruct
from .select.remove_channels import RemoveChannels
from .select.sampler import DropSamplers, SampleInputs
from .select.select_channels import SelectChannels
from .syntax import join

PASSES: dict[str, type[Pass]] = {
    "fold-constants": FoldConstants,
    "fold-batch-norm": FoldBatchNorm,
    "fold-padding": FoldPadding,
    "remove-dead-channels": RemoveDeadChannels,
    "merge-duplicate-channels": MergeDuplicateChannels,
    "sample-inputs": SampleInputs,
    "select-channels": SelectChannels,
    "offer-forms": OfferForms,
    "allocate": Allocate,
    "remove-channels": RemoveChannels,
    "decompose": Decompose,
    "fold-channels": FoldChannels,
    "reconstruct": Reconstruct,
    "drop-samplers": DropSamplers,
}

FIRST = "fold-constants"
"""Makes every shape and weight known; costs before count from here."""

EXACT = "fold-batch-norm,fold-padding,remove-dead-channels,merge-duplicate-channels"
"""Makes a model smaller without changing its outputs."""

_KNOWN = Registry("pass", "optimise_onnx.passes", PASSES, kind=type)


def lossy_pipeline(
    target: str,
    *,
    criterion: str,
    keep_nodes: str = "",
    keep_types: str = "",
    allocation: str = "global",
    align: int = 1,
    max_ratio: float | None = None,
    sampler: bool = False,
    forms: tuple[str, ...] = (),
    only_faster: bool = False,
    partial: bool = False,
) -> tuple[str, str]:
    """Write the passes that decide what goes to meet ``target``, and those that carry it out and repair the rest.

    The options are those of the passes.
    """
    share = 1.0 if max_ratio is None else max_ratio
    deciding: tuple[Pass, ...] = (
        *((SampleInputs(),) if sampler else ()),
        SelectChannels(criterion=criterion, keep_nodes=keep_nodes, keep_types=keep_types),
        *((OfferForms(families=forms, keep_nodes=keep_nodes, keep_types=keep_types),) if forms else ()),
        Allocate(target=target, method=allocation, align=align, max_ratio=share, partial=partial),
    )
    doing: tuple[Pass, ...] = (
        RemoveChannels(),
        *((Decompose(only_faster=only_faster),) if forms else ()),
        Reconstruct(),
        *((DropSamplers(),) if sampler else ()),
    )
    return join(deciding), join(doing)


def known_passes() -> Registry[type[Pass]]:
    """Return our passes and those that installed packages offer under ``optimise_onnx.passes``."""
    return _KNOWN
