"""The zero-mask oracle: a graph without channels gives what the same graph gives with zeros in their place.

Where values are rounded, a sum in another order may flip a code, and what follows differs by steps. Then both graphs
are compared without their roundings as well: that has to be as close as in any other network, and with the roundings
the root mean square counts.
"""

from __future__ import annotations

from collections.abc import Collection, Container, Sequence
from dataclasses import dataclass

import numpy as np

from ...ir.errors import VerificationError
from ...ir.feeds import Feeds, batch_size, random_feeds
from ...ir.graph import Array, Graph
from ..analysis.layers.rounding import unrounded
from ..analysis.outputs.parts import Part, parts
from ..analysis.outputs.precision import of_half
from ..analysis.outputs.saturated import SATURATING, beyond, rounded, squashed
from ..base import Context

_NOISES = 4  # times what the masked graph itself differs by when onnxruntime fuses its operators,
_NOISE = 1e-4  # which is the noise of rounding where it is this small
_HALF = 8 * float(np.finfo(np.float16).eps)  # what sums of 16-bit floats in another order may differ by, not more
_FLIPPED = 0.05  # root mean square, relative, of what codes that flip change
_HIDING = SATURATING | {"ArgMax", "ArgMin", "LogSoftmax", "QuantizeLinear", "TopK"}


@dataclass(frozen=True)
class Proof:
    """The largest difference relative to the largest number; ``plain``: of the graphs without their roundings."""

    error: float
    plain: bool = False


def prove(masked: Graph, pruned: Graph, tolerance: float, context: Context) -> Proof:
    """Compare on two samples. Raises VerificationError."""
    feeds = _samples(pruned, context)
    every = parts(pruned)
    names, coarse = _witnesses(pruned, every), rounded(every)
    limit = max(tolerance, _HALF if of_half(masked) else 0.0)
    wanted, got = (_run(graph, names, feeds, context) for graph in (masked, pruned))
    worst = _apart(wanted, got, coarse)
    if worst <= limit:
        return Proof(worst)
    if _mean_apart(wanted, got) <= _FLIPPED:
        error = _apart_unrounded(masked, pruned, names, feeds, context)
        if error <= limit:
            return Proof(error, plain=True)
    fused = context.runner.session(masked, outputs=names).run(feeds)
    if not worst <= _NOISES * min(_apart(wanted, fused, coarse), _NOISE):
        raise VerificationError(
            f"the pruned graph differs from the masked one by {worst:.1e}",
            why="removing these channels is not the same as zeroing them",
            hint="please report this model; --keep the layers named by analyse to go on without them",
        )
    return Proof(worst)


def _samples(graph: Graph, context: Context) -> Feeds:
    size = batch_size(graph, 2)
    if context.calibration is not None:
        return next(iter(context.calibration.batches(size)))
    return random_feeds(graph, context.rng(), size)


def _apart_unrounded(masked: Graph, pruned: Graph, names: Sequence[str], feeds: Feeds, context: Context) -> float:
    """Return the largest difference of both graphs without their roundings; infinity where they have none."""
    smooth, smaller = unrounded(masked), unrounded(pruned)
    if smooth is None or smaller is None:
        return float("inf")
    left = smaller.tensors().keys() & set(names)
    wanted, got = (_run(graph, sorted(left), feeds, context) for graph in (smooth, smaller))
    return _apart(wanted, got, rounded(parts(smaller)))


def _run(graph: Graph, names: Collection[str], feeds: Feeds, context: Context) -> Feeds:
    return context.runner.session(graph, outputs=list(names), exact=True).run(feeds)


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
    finite = _finite(wanted, got)
    if finite is None:
        return float("inf")
    a, b = finite
    scale = float(np.abs(a).max(initial=0.0)) or 1.0
    gap = np.abs(a - b)
    return float((beyond(gap, wanted) if coarse else gap).max(initial=0.0)) / scale


def _finite(wanted: Array, got: Array) -> tuple[Array, Array] | None:
    """Return the finite numbers of both in float64; None when shapes or their places differ."""
    if wanted.shape != got.shape:
        return None
    a, b = wanted.astype(np.float64), got.astype(np.float64)
    finite = np.isfinite(a)
    return (a[finite], b[finite]) if np.array_equal(finite, np.isfinite(b)) else None


def _mean_apart(wanted: Feeds, got: Feeds) -> float:
    """Return the largest of all tensors' root mean square differences relative to their own; as above, infinity."""
    return max((_mean_difference(wanted[name], got[name]) for name in wanted), default=0.0)


def _mean_difference(wanted: Array, got: Array) -> float:
    finite = _finite(wanted, got)
    if finite is None:
        return float("inf")
    gap, base = (float(np.sqrt(np.mean(v**2))) if v.size else 0.0 for v in (finite[0] - finite[1], finite[0]))
    return gap / (base or 1.0)
