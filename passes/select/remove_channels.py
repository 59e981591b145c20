"""``remove-channels``: carry out what selection and allocation decided, and prove it with the zero-mask oracle."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from ...ir.graph import Array, Graph
from ..analysis.channels.branch_removal import branch_cut, mean_shifts, remove_branches, shift_readers
from ..analysis.channels.branches import Cut
from ..analysis.channels.groups import Channels
from ..analysis.channels.masking import masked
from ..analysis.channels.origins import origins
from ..analysis.channels.removal import keep_mask
from ..base import Context, Outcome
from .oracle import Proof, prove

TOLERANCE = 1e-5


@dataclass(frozen=True)
class RemoveChannels:
    """Remove the decided channels. ``tolerance``: largest difference from the masked graph, relative to its outputs;
    more where floats have 16 bits, or rounding alone moves the masked graph as far.

    A droppable group of which nothing stays vanishes with its block: what read it becomes a constant per channel, its
    bias plus, with calibration data, the mean of what the removed channels gave it.
    """

    tolerance: float = TOLERANCE
    name: ClassVar[str] = "remove-channels"
    needs: ClassVar[frozenset[str]] = frozenset({"ranking", "widths"})
    carries_out: ClassVar[frozenset[str]] = frozenset({"widths"})
    preserves: ClassVar[frozenset[str]] = frozenset({"forms", "reference"})
    provides: ClassVar[frozenset[str]] = frozenset({"reference"})

    def run(self, graph: Graph, context: Context) -> Outcome:
        """Rewrite the graph; the plan gets it as it was for a reference, and what is left of the reference's channels.

        Raises PreconditionError for branches that the graph needs, VerificationError when the oracle fails.
        """
        ranking, widths = context.plan.ranking, context.plan.decision.widths
        assert ranking is not None and widths is not None  # the manager has checked what the pass needs
        kept = ranking.kept(widths)
        plan = context.plan.referred(context.view(graph))
        plan = replace(plan, decision=replace(plan.decision, widths=None), alternatives=())
        if not kept:
            return Outcome(False, ("nothing to remove",), plan=plan)
        channels = ranking.channels
        parts = branch_cut(graph, channels, kept)
        means = _means(graph, context, ranking.rows) if parts.readers else {}
        shifts = mean_shifts(graph, channels, parts, means)
        reference = _reference(graph, channels, kept, shifts) if context.verify else None
        plan = plan.shortened(origins(channels, keep_mask(channels, kept)))
        plan = replace(plan, written={}, ranking=None, offers=None)  # forms written before are layers from here
        remove_branches(graph, channels, kept, shifts, parts, context.runner)
        proof = prove(reference, graph, self.tolerance, context) if reference is not None else None
        return replace(_outcome(channels, kept, parts, proof), plan=plan)


def _reference(graph: Graph, channels: Channels, kept: Mapping[str, Array], shifts: Mapping[str, Array]) -> Graph:
    """Mask what goes; layers that lose their whole input get the same shift of their bias as in the pruned graph."""
    reference = masked(graph, channels, kept)
    shift_readers(graph, channels, shifts, reference)
    return reference


def _outcome(channels: Channels, kept: Mapping[str, Array], parts: Cut, proof: Proof | None) -> Outcome:
    gone = sum(group.cells.size - len(kept[group.name]) for group in channels.groups if group.name in kept)
    whole = sum(not classes.size for classes in kept.values())
    note = f"{gone} channels removed from {len(kept)} groups"
    blocks = [f"{whole} of them whole: {', '.join(parts.readers)} became constant"] if whole else []
    figures = {"channels_removed": gone, "branches_removed": whole, "oracle_error": proof.error if proof else None}
    return Outcome(True, (note, *blocks, *_said(proof)), figures)


def _said(proof: Proof | None) -> list[str]:
    if proof is None:
        return []
    return [f"oracle: removing equals masking to {proof.error:.1e}" + ", values not rounded" * proof.plain]


def _means(graph: Graph, context: Context, rows: int) -> Mapping[str, Array]:
    """Return the means of what every layer reads, by node name; nothing without statistics."""
    if context.calibration is None:
        return {}
    moments = context.moments(context.view(graph), rows)
    return context.remember("means", graph, list(moments.key), lambda: {name: m.mean for name, m in moments.items()})
