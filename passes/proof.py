"""Exact passes held to their word: the graph before and after them gives the same outputs on the same inputs.

Compared is what is continuous: outputs that nodes decide (suppression, the k largest) are held by what these decide
from. The limit grows with the coarsest float type and the longest sum; behind a rounding, where one step may flip, the
root mean square counts instead of the largest difference.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..ir.errors import InvalidModelError, VerificationError
from ..ir.feeds import Feeds, batch_size, random_feeds
from ..ir.graph import Array, Graph
from .analysis.outputs.parts import DECIDING, parts
from .analysis.outputs.precision import precision
from .analysis.outputs.saturated import beyond, saturated, squashed
from .base import Context

_BATCH = 4
_LEAST = 1e-3
_FLIPPED = 0.05
_ROUNDING = frozenset({"Ceil", "DynamicQuantizeLinear", "Floor", "QuantizeLinear", "Round", "Sign"})


@dataclass(frozen=True)
class Judged:
    """A tensor by which an output is judged; ``saturated``: it rounds at the size of one; ``drifts``: a body that
    decides has made it, step by step from what it gave before, so that single samples may end up anywhere.
    """

    output: str
    tensor: str
    saturated: bool = False
    drifts: bool = False


def prove(before: Graph, after: Graph, context: Context) -> tuple[str, ...]:
    """Run both graphs on the first samples and on random inputs; say what could not be compared.

    Raises VerificationError that names the output that changed, by how much, and the limit.
    """
    judged = _judged(before, after)
    if not judged:
        return ("nothing was compared: what outputs are decided from was rewritten",)
    limit = Limit.of(before)
    names = [part.tensor for part in judged]
    sessions = [context.runner.session(graph, outputs=names, exact=True) for graph in (before, after)]
    count = 0
    for feeds in _inputs(before, context):
        try:
            wanted = sessions[0].run(feeds)
        except InvalidModelError:
            continue
        got = sessions[1].run(feeds)
        for part in judged:
            limit.check(part, wanted[part.tensor], got[part.tensor])
        count += 1
    return () if count else ("nothing was compared: the model does not run on random inputs",)


def _judged(before: Graph, after: Graph) -> list[Judged]:
    """Return outputs that nothing decides, and what saturates into them; of the others the parts that both have, and
    what bodies give.
    """
    left, every = after.tensors(), parts(before)
    decided = {part.output for part in every if part.decided}
    plain, rounded = [t.name for t in before.outputs if t.name not in decided], saturated(every)
    whole = [Judged(name, name, saturated=name in rounded) for name in plain]
    drifting = dict.fromkeys(part.output for part in every if part.decided and part.decided not in DECIDING)
    whole += [Judged(name, name, drifts=True) for name in drifting]
    inner = [*(part for part in every if part.decided), *squashed(before, (p for p in every if not p.decided))]
    found = {part.tensor: Judged(part.output, part.tensor) for part in inner if part.tensor in left}
    return [*whole, *found.values()]


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

    def check(self, part: Judged, before: Array, after: Array) -> None:
        """Raise VerificationError where a tensor changed; of one that drifts, where most samples did by its mean."""
        if part.drifts and (before.shape != after.shape or before.dtype.kind != "f"):
            return
        if before.shape != after.shape:
            raise _changed(part, f"shape {list(after.shape)} instead of {list(before.shape)}")
        if before.dtype.kind != "f":
            share = float((before != after).mean()) if before.size else 0.0
            if share > _FLIPPED:
                raise _changed(part, f"{share:.0%} of its numbers differ")
            return
        gap, size = _gap(before, after)
        gap = beyond(gap, before) if part.saturated else gap
        mean = self.rounds or part.drifts
        found = _most(gap, size) if part.drifts else _ratio(gap, size, mean)
        limit = max(self.largest, _FLIPPED) if mean else self.largest
        if not found <= limit:
            raise _changed(part, f"by {found:.2g} of its size, the limit is {limit:.2g}")


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
    """Return the median over samples, which lie along the first axis."""
    return float(np.median([_ratio(one, size, mean=True) for one in np.atleast_1d(gap)] or [0.0]))


def _changed(part: Judged, why: str) -> VerificationError:
    said = f"output '{part.output}'" + (f", at '{part.tensor}'," if part.tensor != part.output else "")
    return VerificationError(f"exact passes changed {said}", why=why, hint="please report it; nothing was written")
