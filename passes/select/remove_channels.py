"""``remove-channels``: carry out what selection and allocation decided, and prove it with the zero-mask oracle."""

from collections.abc import Collection, Container, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from ...ir.errors import VerificationError
from ...ir.feeds import Feeds, batch_size, random_feeds
from ...ir.graph import Array, Graph
from ..analysis.channels.branch_removal import branch_cut, mean_shifts, remove_branches, shift_readers
from ..analysis.channels.branches import Cut
from ..analysis.channels.groups import Channels
from ..analysis.channels.masking import masked
from ..analysis.channels.origins import origins
from ..analysis.channels.removal import keep_mask
from ..analysis.outputs.parts import Part, parts
from ..analysis.outputs.precision import of_half
from ..analysis.outputs.saturated import SATURATING, beyond, rounded, squashed
from ..base import Context, Outcome

TOLERANCE = 1e-5
_ROUNDINGS = 4  # times what the masked graph itself differs by when onnxruntime fuses its operators,
_NOISE = 1e-4  # which is the noise of rounding where it is this small
_HALF = 8 * float(np.finfo(np.float16).eps)  # what sums of 16-bit floats in another order may differ by, not more
_HIDING = SATURATING | {"ArgMax", "ArgMin", "LogSoftmax", "QuantizeLinear", "TopK"}


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
        error = self._prove(reference, graph, context) if reference is not None else None
        return replace(_outcome(channels, kept, parts, error), plan=plan)

    def _prove(self, reference: Graph, graph: Graph, context: Context) -> float:
        if context.calibration is not None:
            feeds = next(iter(context.calibration.batches(batch_size(graph, 2))))
        else:
            feeds = random_feeds(graph, context.rng(), batch_size(graph, 2))
        every = parts(graph)
        names = _witnesses(graph, every)
        wanted = context.runner.session(reference, outputs=names, exact=True).run(feeds)
        got = context.runner.session(graph, outputs=names, exact=True).run(feeds)
        coarse = rounded(every)
        worst = _apart(wanted, got, coarse)
        if worst <= max(self.tolerance, _HALF if of_half(reference) else 0.0):
            return worst
        fused = context.runner.session(reference, outputs=names).run(feeds)
        if not worst <= _ROUNDINGS * min(_apart(wanted, fused, coarse), _NOISE):
            raise VerificationError(
                f"the pruned graph differs from the masked one by {worst:.1e}",
                why="removing these channels is not the same as zeroing them",
                hint="please report this model; --keep the layers named by analyse to go on without them",
            )
        return worst


def _reference(graph: Graph, channels: Channels, kept: Mapping[str, Array], shifts: Mapping[str, Array]) -> Graph:
    """Mask what goes; layers that lose their whole input get the same shift of their bias as in the pruned graph."""
    reference = masked(graph, channels, kept)
    shift_readers(graph, channels, shifts, reference)
    return reference


def _outcome(channels: Channels, kept: Mapping[str, Array], parts: Cut, error: float | None) -> Outcome:
    gone = sum(group.cells.size - len(kept[group.name]) for group in channels.groups if group.name in kept)
    whole = sum(not classes.size for classes in kept.values())
    note = f"{gone} channels removed from {len(kept)} groups"
    blocks = [f"{whole} of them whole: {', '.join(parts.readers)} became constant"] if whole else []
    proof = [f"oracle: removing equals masking to {error:.1e}"] if error is not None else []
    figures = {"channels_removed": gone, "branches_removed": whole, "oracle_error": error}
    return Outcome(True, (note, *blocks, *proof), figures)


def _means(graph: Graph, context: Context, rows: int) -> Mapping[str, Array]:
    """Return the means of what every layer reads, by node name; nothing without statistics."""
    if context.calibration is None:
        return {}
    moments = context.moments(context.view(graph), rows)
    return context.remember("means", graph, list(moments.key), lambda: {name: m.mean for name, m in moments.items()})


def _witnesses(graph: Graph, every: Collection[Part]) -> list[str]:
    """Name the tensors to compare: the outputs, and what a saturating or deciding last operator would hide."""
    names = []
    for tensor in graph.outputs:
        producer = tensor.producer
        names.append(tensor.name)
        if producer is not None and producer.op in _HIDING and not producer.inputs[0].is_constant:
            names.append(producer.inputs[0].name)
    return list(dict.fromkeys([*names, *(tensor.name for tensor in squashed(graph, every).values())]))


def _apart(wanted: Feeds, got: Feeds, coarse: Container[str]) -> float:
    """Return the largest difference of a tensor relative to its largest number; those in ``coarse`` round at 1."""
    return max((_difference(wanted[name], got[name], name in coarse) for name in wanted), default=0.0)


def _difference(wanted: Array, got: Array, coarse: bool) -> float:
    """Return infinity when shapes or the place of NaNs differ."""
    if wanted.shape != got.shape:
        return float("inf")
    a, b = wanted.astype(np.float64), got.astype(np.float64)
    finite = np.isfinite(a)
    if not np.array_equal(finite, np.isfinite(b)):
        return float("inf")
    scale = float(np.abs(a[finite]).max(initial=0.0)) or 1.0
    gap = np.abs(a[finite] - b[finite])
    return float((beyond(gap, wanted) if coarse else gap).max(initial=0.0)) / scale
