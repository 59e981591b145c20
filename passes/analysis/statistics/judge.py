"""The original model's outputs on some calibration samples, and how far a changed graph is from them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from ....ir.budget import roomy_batch
from ....ir.feeds import Calibration
from ....ir.graph import Array, Graph
from ....ir.runner import Runner
from ..outputs.parts import Part, deciding, parts
from .activations import BATCH, Activations
from .cone import changed_nodes
from .divergence import (
    as_logits,
    disagreement,
    divergence,
    looks_like_logits,
    margins,
    softened_divergences,
    temperature,
)
from .rarity import answers_along, counts

_AT_ONCE = 2**20  # probabilities compared at once


Pieces = Sequence[Array]
"""A tensor batch by batch."""


@dataclass(frozen=True)
class Judge:
    """Holds a graph, what its outputs are made of on some samples and, as needed, its activations; :meth:`of` scores
    edited copies.
    """

    graph: Graph
    activations: Activations
    parts: Mapping[str, Part]
    reference: Mapping[str, Pieces]
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
        distances = {name: self.distance(parts[name], reference[name]) for name in moved}
        for place, values in enumerate(self.activations.outputs(graph, changed, moved)):
            for name in moved:
                distances[name].add(place, np.atleast_1d(values[name]))
        return sum(each.found() for each in distances.values())

    def distance(self, part: Part, reference: Pieces) -> "Distance":
        """Choose how the values of a part are compared; what is known of its answers is found once."""
        axis = answers_along(part, reference[0])
        if axis is None:
            return _OfWhole(part, reference)
        if part.tensor not in self._answers:
            self._answers[part.tensor] = Answers.of(reference, axis, part.op == "LogSoftmax")
        return _OfProbabilities(reference, self._answers[part.tensor])

    @cached_property
    def _answers(self) -> "dict[str, Answers]":
        return {}

    @cached_property
    def _whole(self) -> tuple[Mapping[str, Part], Mapping[str, Pieces]]:
        """The outputs themselves, each as its own part."""
        made = {t.name: t.producer.op if t.producer is not None else "" for t in self.graph.outputs}
        found = {name: Part(name, name, op) for name, op in made.items()}
        return found, _floats(self.activations.pieces(list(found)))


class Distance(Protocol):
    """How far one tensor is from what it was, batch by batch."""

    def add(self, place: int, values: Array) -> None:
        """Take the batch number ``place``."""

    def found(self) -> float:
        """Return the distance over all batches."""


@dataclass(frozen=True)
class Answers:
    """Probabilities of ``classes`` along an axis, or their ``logs``: how often each place ``counts``, and what softens
    their scores.
    """

    classes: int
    logs: bool
    counts: Pieces
    heat: float

    @staticmethod
    def of(reference: Pieces, classes: int, logs: bool) -> "Answers":
        """Look at the original's."""
        found = [np.empty(0)]
        for batch in reference:
            scores = np.moveaxis(batch, classes, -1)
            step = _step(scores)
            pieces = (scores[at : at + step] for at in range(0, len(scores), step))
            found += [margins(each if logs else as_logits(each)).ravel() for each in pieces]
        return Answers(classes, logs, counts(reference, classes), temperature(np.concatenate(found)))

    @cached_property
    def places(self) -> float:
        """How often all places count together, at least once."""
        return max(sum(float(count.sum(dtype=np.float64)) for count in self.counts), 1.0)

    def apart(self, place: int, reference: Array, values: Array) -> float:
        """Return the divergence of the batch number ``place``, summed over its places, each as often as it counts."""
        old, new = (np.moveaxis(v, self.classes, -1) for v in (reference, values))
        step, found = _step(old), 0.0
        for at in range(0, len(old), step):
            here, there, count = (v[at : at + step] for v in (old, new, self.counts[place]))
            if not self.logs:
                here, there = as_logits(here), as_logits(there)
            found += float((count * softened_divergences(here, there, self.heat)).sum())
        return found


def _step(scores: Array) -> int:
    """Return how many samples are looked at in one go."""
    return max(1, _AT_ONCE // max(scores[:1].size, 1))


class _OfProbabilities:
    """Divergence of probabilities, the mean over all places, each as often as it counts; nothing of a batch stays."""

    def __init__(self, reference: Pieces, answers: Answers) -> None:
        self._reference, self._answers, self._sum = reference, answers, 0.0

    def add(self, place: int, values: Array) -> None:
        self._sum += self._answers.apart(place, self._reference[place], values)

    def found(self) -> float:
        return self._sum / self._answers.places


class _OfWhole:
    """What needs all batches: relative errors, class scores, decisions."""

    def __init__(self, part: Part, reference: Pieces) -> None:
        self._part, self._reference, self._values = part, reference, list[Array]()

    def add(self, place: int, values: Array) -> None:
        self._values.append(values)

    def found(self) -> float:
        old, new = _end_to_end(self._reference), _end_to_end(self._values)
        if old.dtype.kind != "f":
            return disagreement(old, new) if old.shape == new.shape else 1.0
        logits = looks_like_logits(old.shape, self._part.op)
        return divergence(old, new, logits=logits, rows=_rows(self._part, old))


def _rows(part: Part, values: Array) -> int | None:
    """Return the axis of the rows, unless it counts samples or batches were laid flat."""
    return part.rows if part.rows is not None and 0 < part.rows < values.ndim else None


def judge(graph: Graph, samples: Calibration, runner: Runner) -> Judge:
    """Run ``graph`` on samples and remember what its outputs are made of."""
    feeds = list(samples.batches(roomy_batch(graph, BATCH)))
    found = {part.tensor: part for part in parts(graph, behind=True)}
    session = runner.session(graph, outputs=list(found))
    runs = [session.run(batch) for batch in feeds]
    values = {name: [run[name] for run in runs] for name in found}
    original = graph.copy()  # the caller may go on to edit its own
    return Judge(original, Activations(original, feeds, runner), found, _floats(values), deciding(graph))


def _floats(values: Mapping[str, Pieces]) -> dict[str, Pieces]:
    """Keep the floats, or all where there are none."""
    whole = {name: [np.atleast_1d(piece) for piece in pieces] for name, pieces in values.items()}
    return {name: pieces for name, pieces in whole.items() if pieces[0].dtype.kind == "f"} or dict(whole)


def _end_to_end(parts: Pieces) -> Array:
    """Put batches end to end; flat where the last, shorter batch shows that the first axis does not count samples."""
    alike = len({part.shape[1:] for part in parts}) == 1
    return np.concatenate(parts if alike else [part.ravel() for part in parts])
