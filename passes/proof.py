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
from .analysis.outputs.parts import Part, parts
from .analysis.outputs.precision import SATURATING, precision, rounding
from .base import Context

_BATCH = 4
_LEAST = 1e-3
_FLIPPED = 0.05
_ROUNDING = frozenset({"Ceil", "DynamicQuantizeLinear", "Floor", "QuantizeLinear", "Round", "Sign"})


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


def _judged(before: Graph, after: Graph) -> list[Part]:
    """Return outputs that nothing decides, and what saturates into them; of the others the parts that both have."""
    left, every = after.tensors(), parts(before)
    found = {part.tensor: part for part in every if part.decided and part.tensor in left}
    decided = {part.output for part in every if part.decided}
    plain = {}
    for output in (tensor.name for tensor in before.outputs if tensor.name not in decided):
        of = [part for part in every if part.output == output]
        saturates = all(part.op in SATURATING for part in of)
        plain[output] = Part(output, output, of[0].op if saturates else "")
        plain |= {made.tensor: made for made in _saturated(before, of) if made.tensor in left}
    return [*plain.values(), *found.values()]


def _saturated(graph: Graph, of: list[Part]) -> Iterator[Part]:
    """Yield what the parts of an output are squashed from: it tells models apart where all is near 0 or 1."""
    tensors = graph.tensors()
    for part in of:
        node = tensors[part.tensor].producer
        if node is not None and node.op in SATURATING and not node.inputs[0].is_constant:
            yield Part(part.output, node.inputs[0].name, "")


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

    def check(self, part: Part, before: Array, after: Array) -> None:
        """Raise VerificationError where a tensor changed."""
        if before.shape != after.shape:
            raise _changed(part, f"shape {list(after.shape)} instead of {list(before.shape)}")
        if before.dtype.kind != "f":
            share = float((before != after).mean()) if before.size else 0.0
            if share > _FLIPPED:
                raise _changed(part, f"{share:.0%} of its numbers differ")
            return
        a, b = before.astype(np.float64), after.astype(np.float64)
        same = (a == b) | (np.isnan(a) & np.isnan(b))
        with np.errstate(invalid="ignore"):
            gap, size = np.where(same, 0.0, np.abs(b - a)), np.abs(np.where(np.isfinite(a), a, 0.0))
        limit = max(self.largest, _FLIPPED) if self.rounds else self.largest
        least = rounding(before.dtype) / limit if part.op in SATURATING else 0.0
        found = _ratio(gap, size, least, mean=self.rounds)
        if not found <= limit:
            raise _changed(part, f"by {found:.2g} of its size, the limit is {limit:.2g}")


def _ratio(gap: Array, size: Array, least: float, mean: bool) -> float:
    top, base = (float(np.sqrt(np.mean(v**2)) if mean else v.max()) if v.size else 0.0 for v in (gap, size))
    base = max(base, least)
    return top / base if base else top


def _changed(part: Part, why: str) -> VerificationError:
    said = f"output '{part.output}'" + (f", at '{part.tensor}'," if part.tensor != part.output else "")
    return VerificationError(f"exact passes changed {said}", why=why, hint="please report it; nothing was written")
