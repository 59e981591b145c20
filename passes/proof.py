"""Exact passes held to their word: the graph before and after them gives the same outputs on the same inputs.

Compared is what is continuous: outputs that nodes decide (suppression, the k largest) are held by what these decide
from. The limit grows with the coarsest float type and the longest sum; behind a rounding, where one step may flip, the
root mean square counts instead of the largest difference.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..ir.attributes import LOOPS
from ..ir.errors import InvalidModelError, VerificationError
from ..ir.feeds import Feeds, batch_size, random_feeds
from ..ir.graph import Array, Graph
from .analysis.outputs.parts import parts
from .analysis.outputs.precision import precision
from .analysis.outputs.saturated import beyond, rounded, squashed
from .base import Context

_BATCH = 4
_LEAST = 1e-3
_FLIPPED = 0.05
_ROUNDING = frozenset(
    {"Ceil", "DynamicQuantizeLinear", "DynamicQuantizeMatMul", "Floor", "QuantizeLinear", "Round", "Sign"}
)


@dataclass(frozen=True)
class Judged:
    """A tensor by which an output is judged, and its name in the graph ``after``, where that is another.

    ``coarse``: it rounds at the size of one. ``drifts``: a loop has made it, each step from what the one before
    decided, so that single entries may end up anywhere.
    """

    output: str
    tensor: str
    after: str = ""
    coarse: bool = False
    drifts: bool = False


def prove(before: Graph, after: Graph, context: Context) -> tuple[str, ...]:
    """Run both graphs on the first samples and on random inputs; say what could not be compared.

    Raises VerificationError that names the output that changed, by how much, and the limit.
    """
    judged = _judged(before, after)
    if not judged:
        return ("nothing was compared: what outputs are decided from was rewritten",)
    limit = Limit.of(before)
    names = [part.tensor for part in judged], [part.after or part.tensor for part in judged]
    pairs = zip((before, after), names, strict=True)
    sessions = [context.runner.session(graph, outputs=list(dict.fromkeys(own)), exact=True) for graph, own in pairs]
    count = 0
    for feeds in _inputs(before, context):
        try:
            wanted = sessions[0].run(feeds)
        except InvalidModelError:
            continue
        got = sessions[1].run(feeds)
        count += sum(limit.check(part, wanted[part.tensor], got[part.after or part.tensor]) for part in judged)
    return () if count else ("nothing was compared: the model does not run on random inputs, or was narrowed inside",)


def _judged(before: Graph, after: Graph) -> list[Judged]:
    """Return outputs that nothing decides, and what their saturating functions read; of the others what is decided
    from, as far as it is left, and what loops make of it.
    """
    left, every = after.tensors(), parts(before)
    decided = {part.output: part.decided for part in every if part.decided}
    coarse = rounded(every)
    plain = [Judged(t.name, t.name, coarse=t.name in coarse) for t in before.outputs if t.name not in decided]
    loops = [Judged(name, name, drifts=True) for name, op in decided.items() if op in LOOPS]
    from_ = [Judged(part.output, part.tensor) for part in every if part.decided and part.tensor in left]
    outputs, read = {part.tensor: part.output for part in every}, squashed(after, every)
    logits = [
        Judged(outputs[made], tensor.name, after=read[made].name)
        for made, tensor in squashed(before, every).items()
        if made in read
    ]
    return list({part.tensor: part for part in (*logits, *from_, *loops, *plain)}.values())


def _inputs(graph: Graph, context: Context) -> Iterator[Feeds]:
    size = batch_size(graph, _BATCH)
    if context.calibration is not None:
        yield next(context.calibration.head(size).batches(size))
    try:
        yield random_feeds(graph, context.rng(), size)
    except InvalidModelError:
        return


@dataclass(frozen=True)
class Limit:
    """``largest``: of the difference over the largest number; ``rounds``: whether steps may flip."""

    largest: float
    rounds: bool

    @staticmethod
    def of(graph: Graph) -> Limit:
        """Read the types of constants and the lengths of sums in ``graph``."""
        largest = max(_LEAST, precision(graph))
        return Limit(largest, any(node.op in _ROUNDING for node in graph.nodes))

    def check(self, part: Judged, before: Array, after: Array) -> bool:
        """Whether a tensor could be compared. Raises VerificationError where it changed: of one that drifts, where most
        entries along its first axis did.
        """
        inside = part.tensor != part.output  # where exact passes may drop channels
        if before.shape != after.shape and (inside or (part.drifts and before.ndim == after.ndim)):
            return False
        if before.shape != after.shape or before.dtype != after.dtype:
            was, now = (f"{array.dtype.name}{list(array.shape)}" for array in (before, after))
            raise _changed(part, f"it is {now} instead of {was}")
        if before.dtype.kind != "f":
            share = float((before != after).mean()) if before.size else 0.0
            if share > _FLIPPED and not part.drifts:
                raise _changed(part, f"{share:.0%} of its numbers differ")
            return True
        gap, size = _gap(before, after)
        gap = beyond(gap, before) if part.coarse else gap
        mean = self.rounds or part.drifts
        found = _most(gap, size) if part.drifts else _ratio(gap, size, mean)
        limit = max(self.largest, _FLIPPED) if mean else self.largest
        if not found <= limit:
            raise _changed(part, f"by {found:.2g} of its size, the limit is {limit:.2g}")
        return True


def _gap(before: Array, after: Array) -> tuple[Array, Array]:
    """Return absolute differences, none between NaNs, and absolute numbers where they are finite."""
    a, b = before.astype(np.float64), after.astype(np.float64)
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    with np.errstate(invalid="ignore"):
        return np.where(same, 0.0, np.abs(b - a)), np.abs(np.where(np.isfinite(a), a, 0.0))


def _ratio(gap: Array, size: Array, mean: bool) -> float:
    top, base = (float(np.sqrt(np.mean(v**2)) if mean else v.max()) if v.size else 0.0 for v in (gap, size))
    return top / base if base else top


def _most(gap: Array, size: Array) -> float:
    """Return the median over what lies along the first axis: steps of a loop, or samples."""
    return float(np.median([_ratio(one, size, mean=True) for one in np.atleast_1d(gap)] or [0.0]))


def _changed(part: Judged, why: str) -> VerificationError:
    said = f"output '{part.output}'" + (f", at '{part.tensor}'," if part.tensor != part.output else "")
    return VerificationError(f"exact passes changed {said}", why=why, hint="please report it; nothing was written")
