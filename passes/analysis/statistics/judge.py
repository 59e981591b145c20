"""The original model's outputs on some calibration samples, and how far a changed graph is from them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ....ir.budget import roomy_batch
from ....ir.feeds import Calibration, Feeds
from ....ir.graph import Array, Graph
from ....ir.runner import Runner
from ..outputs.parts import Part, deciding, parts
from .activations import BATCH, Activations
from .cone import changed_nodes
from .divergence import as_logits, disagreement, divergence, looks_like_logits

_AT_ONCE = 2**22  # probabilities compared at once


@dataclass(frozen=True)
class Judge:
    """Holds a graph, what its outputs are made of on some samples and, as needed, its activations; :meth:`of` scores
    edited copies.
    """

    graph: Graph
    activations: Activations
    parts: Mapping[str, Part]
    reference: Mapping[str, Array]
    deciding: frozenset[str] = frozenset()

    def of(self, graph: Graph) -> float:
        """Return the divergence of ``graph``'s outputs from the reference, summed over their parts.

        Only nodes that may give other values than in the original run, from its stored activations; in a graph that is
        no copy, all do. Nodes that decide, such as NonMaxSuppression, decide as in the original. Integers count only
        where there are no floats. Where parts are not in ``graph``, outputs count.
        """
        tensors = graph.tensors()
        whole = not self.reference.keys() <= tensors.keys()
        parts, reference = self._whole if whole else (self.parts, self.reference)
        changed = changed_nodes(self.graph, graph) - self.deciding
        made_by = {name: node.name for name in reference if (node := tensors[name].producer) is not None}
        moved = [name for name in reference if made_by.get(name) in changed]
        if not moved:
            return 0.0
        values = _joined(list(self.activations.outputs(graph, changed, moved)))
        return sum(apart(parts[name], reference[name], values[name]) for name in moved)

    @cached_property
    def _whole(self) -> tuple[Mapping[str, Part], Mapping[str, Array]]:
        """The outputs themselves, each as its own part."""
        made = {t.name: t.producer.op if t.producer is not None else "" for t in self.graph.outputs}
        found = {name: Part(name, name, op) for name, op in made.items()}
        pieces = self.activations.pieces(list(found))
        return found, _floats({name: _end_to_end([np.atleast_1d(p) for p in pieces[name]]) for name in found})


def apart(part: Part, reference: Array, values: Array) -> float:
    """Return how far one part is from what it was."""
    if reference.dtype.kind != "f":
        return disagreement(reference, values) if reference.shape == values.shape else 1.0
    if part.classes is not None and 0 < part.classes < reference.ndim:
        return _probabilities_apart(*(np.moveaxis(v, part.classes, -1) for v in (reference, values)))
    logits = looks_like_logits(reference.shape, part.op)
    return divergence(reference, values, logits=logits, rows=_rows(part, reference))


def _probabilities_apart(reference: Array, values: Array) -> float:
    """Return the divergence of probabilities of classes, last axis, a few samples at a time."""
    if not reference.size:
        return 0.0
    step = max(1, _AT_ONCE // reference[0].size)
    pieces = ((reference[at : at + step], values[at : at + step]) for at in range(0, len(reference), step))
    found = [len(old) * divergence(as_logits(old), as_logits(new), logits=True) for old, new in pieces]
    return sum(found) / len(reference)


def _rows(part: Part, values: Array) -> int | None:
    """Return the axis of the rows, unless it counts samples or batches were laid flat."""
    return part.rows if part.rows is not None and 0 < part.rows < values.ndim else None


def judge(graph: Graph, samples: Calibration, runner: Runner) -> Judge:
    """Run ``graph`` on samples and remember what its outputs are made of."""
    feeds = list(samples.batches(roomy_batch(graph, BATCH)))
    found = {part.tensor: part for part in parts(graph, behind=True)}
    values = run_all(graph, feeds, runner, list(found))
    original = graph.copy()  # the caller may go on to edit its own
    return Judge(original, Activations(original, feeds, runner), found, _floats(values), deciding(graph))


def _floats(values: dict[str, Array]) -> dict[str, Array]:
    """Keep the floats, or all where there are none."""
    return {name: array for name, array in values.items() if array.dtype.kind == "f"} or values


def run_all(graph: Graph, feeds: Sequence[Feeds], runner: Runner, names: Sequence[str]) -> dict[str, Array]:
    """Run every batch and put the tensors called ``names`` end to end."""
    session = runner.session(graph, outputs=names)
    return _joined([session.run(batch) for batch in feeds])


def _joined(parts: Sequence[Mapping[str, Array]]) -> dict[str, Array]:
    return {name: _end_to_end([np.atleast_1d(part[name]) for part in parts]) for name in parts[0]}


def _end_to_end(parts: Sequence[Array]) -> Array:
    """Put batches end to end; flat where the last, shorter batch shows that the first axis does not count samples."""
    alike = len({part.shape[1:] for part in parts}) == 1
    return np.concatenate(parts if alike else [part.ravel() for part in parts])
