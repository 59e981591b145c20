"""How often a place of an output counts: the answers that are rare count more than their share.

Most places of an output that answers at many (steps of a line of text, pixels, anchors) say the same, such as blank or
background. What a network knows beside that is in the others, and a plain mean over places hardly sees it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ....ir.budget import roomy_batch
from ....ir.feeds import Calibration
from ....ir.graph import Array, Graph
from ....ir.runner import Runner
from ..outputs.parts import Part, parts
from .activations import BATCH


def answers_along(part: Part, values: Array) -> int | None:
    """Return the axis of the classes whose probabilities, or their logarithms, a part holds; None if it does not."""
    held = values.dtype.kind == "f" and part.classes is not None and 0 < part.classes < values.ndim
    return part.classes if held else None


def counts(reference: Sequence[Array], classes: int) -> list[Array]:
    """Return how often each place counts, ``reference`` without the axis of ``classes``: mean one over all of them.

    A place counts by one over the root of how many have its likeliest class, so that a class counts by the root of
    its places. ``reference``: scores batch by batch. Where a sample has one answer, all count alike.
    """
    return _counts([_answers(batch, classes) for batch in reference])


def _answers(batch: Array, classes: int) -> Array:
    return np.asarray(batch.argmax(classes), np.int32)


def _counts(answers: Sequence[Array]) -> list[Array]:
    if all(batch.size == len(batch) or not batch.size for batch in answers):
        return [np.ones(batch.shape, np.float32) for batch in answers]
    times = np.bincount(np.concatenate([batch.ravel() for batch in answers]))
    rare = (1 / np.sqrt(np.maximum(times, 1))).astype(np.float32)
    mean = float(times @ rare / times.sum())
    return [rare[batch] / np.float32(mean) for batch in answers]


@dataclass(frozen=True)
class Places:
    """How often the places of the original's output count, on all samples: ``times`` (n, places)."""

    times: Array

    def of_rows(self, first: int, images: int, positions: int, spots: Array | None) -> Array | None:
        """Return how often rows count (n,) that lie at ``spots`` (images, p) of a layer's ``positions``, or at all.

        ``first`` numbers the first of the images. None where a layer has other positions than the output has places.
        """
        if positions != self.times.shape[1]:
            return None
        times = self.times[first : first + images]
        return (times if spots is None else np.take_along_axis(times, spots, 1)).ravel()


def places(graph: Graph, samples: Calibration, runner: Runner) -> Places | None:
    """Return how often places count where one output of ``graph`` has probabilities at places, alike in all samples.

    Samples of several sizes come in an order that depends on the batch: of these, None.
    """
    found = [part for part in parts(graph, behind=True) if part.classes is not None]
    if len(found) != 1 or samples.uneven:
        return None
    part, session, answers = found[0], runner.session(graph, outputs=[found[0].tensor]), list[Array]()
    for batch in samples.batches(roomy_batch(graph, BATCH)):
        values = session.run(batch)[part.tensor]
        axis = answers_along(part, values)
        if axis is None:
            return None
        answers.append(_answers(values, axis))
    if len({batch.shape[1:] for batch in answers}) > 1 or sum(map(len, answers)) != samples.samples:
        return None
    times = np.concatenate(_counts(answers))
    return None if times.size == len(times) else Places(times.reshape(len(times), -1))
