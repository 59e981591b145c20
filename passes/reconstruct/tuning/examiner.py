"""How far a network is from the original on samples that are not descended on: what decides whether tuning is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf, isfinite, prod

import numpy as np
from scipy.special import stdtrit

from ....ir.budget import roomy_batch
from ....ir.feeds import Calibration, Feeds
from ....ir.graph import Array, Graph
from ....ir.runner import Runner
from ...analysis.gradients.task import Task, left
from ...analysis.outputs.aims import aims
from ...analysis.statistics.activations import BATCH
from ...analysis.statistics.judge import Answers
from .batches import Augment, Batches
from .images import planes

_RISE = 1.25
_CHANCE = 0.01  # that what brings nothing is called a gain
_GROUPS = 32  # of samples, whose distances are held against each other; samples would take a run each


@dataclass(frozen=True)
class Distance:
    """The divergence of class scores, and the squared error of what outputs are made of, relative to the variance.

    Both are of some samples at a time; their means are of all. A divergence is what counts, but a few samples make up
    most of it: 102 images did not show by it a gain of half a point of top-1 that the squared error shows by fifteen of
    its standard errors. Where there are no class scores, the squared error stands for both.
    """

    divergences: Array
    errors: Array

    @property
    def divergence(self) -> float:
        """The mean of the divergences."""
        return float(self.divergences.mean())

    @property
    def error(self) -> float:
        """The mean of the squared errors."""
        return float(self.errors.mean())

    def over(self, before: Distance) -> float:
        """Return by what factor this is farther than ``before``: the geometric mean of both factors.

        Infinite where the divergence has risen by more than a quarter.
        """
        pairs = self._pairs(before)
        if not pairs or not self.divergence <= _RISE * before.divergence:
            return inf
        factor = prod(float(now.mean() / then.mean()) for then, now in pairs) ** (1 / len(pairs))
        return factor if isfinite(factor) else inf

    def shown(self, before: Distance) -> bool:
        """Whether the samples show beyond chance that others too are nearer now: Student's test, one-sided."""
        gains = np.sum([(then - now) / then.mean() for then, now in self._pairs(before)], axis=0)
        if gains.size < 2:
            return False
        return bool(gains.mean() > stdtrit(gains.size - 1, 1 - _CHANCE) * gains.std(ddof=1) / gains.size**0.5)

    def _pairs(self, before: Distance) -> list[tuple[Array, Array]]:
        known = (before.divergences, self.divergences), (before.errors, self.errors)
        return [(then, now) for then, now in known if then.any()]


class Examiner:
    """Holds the original's outputs on samples, each seen in some views; :meth:`of` compares another network's."""

    def __init__(self, asked: Task, seen: Sequence[Calibration], runner: Runner) -> None:
        found = [aim for aim in aims(asked.graph, asked.shapes) if aim.tensor in asked.factors]
        self._asked, self._runner, self._names = asked, runner, [aim.tensor for aim in found]
        size = roomy_batch(asked.original, min(BATCH, -(-seen[0].samples // _GROUPS)))
        self._feeds = [batch for view in seen for batch in view.batches(size)]
        session = runner.session(asked.original, outputs=self._names)
        self._wanted = [left(session.run(batch), asked.kept) for batch in self._feeds]
        self._views, self._samples = len(seen), sum(view.samples for view in seen)
        self._scores = {aim.tensor: self._answers(aim.tensor, aim.classes) for aim in found if aim.classes}

    def of(self, graph: Graph) -> Distance:
        """Return how far a copy of the task's graph with other weights is from the original."""
        session = self._runner.session(graph, outputs=self._names)
        found = np.array([self._apart(place, session.run(batch)) for place, batch in enumerate(self._feeds)])
        groups = found.reshape(self._views, -1, 2).sum(0)
        divergences, errors = len(groups) * groups.T / [[1], [self._samples]]
        return Distance(divergences if self._scores else errors, errors)

    def _apart(self, place: int, found: Feeds) -> tuple[float, float]:
        """Return a batch's share of the divergence, and its squared error."""
        wanted, divergence, error = self._wanted[place], 0.0, 0.0
        for name in self._names:
            off = found[name].astype(np.float64) - wanted[name]
            error += self._asked.factors[name] * float((off**2).sum())
        for name, known in self._scores.items():
            divergence += known.apart(place, wanted[name], found[name]) / known.places
        return divergence, error

    def _answers(self, name: str, classes: int) -> Answers:
        return Answers.of([batch[name] for batch in self._wanted], classes, logs=True)


def views(graph: Graph, samples: Calibration, augment: Augment, rng: np.random.Generator) -> tuple[Calibration, ...]:
    """Return samples and, where images may be changed, the same once more, changed, as the original has not learnt
    them.
    """
    if not augment.flip and not augment.crop:
        return (samples,)
    held = next(samples.batches(samples.samples))
    changed = Batches(held, samples.samples, augment, planes(graph), rng).changed(held)
    return samples, replace(samples, source=lambda: (changed,), first=0)
