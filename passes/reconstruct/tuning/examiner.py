"""How far a network is from the original on samples that are not descended on: what decides whether tuning is kept."""

from __future__ import annotations

from dataclasses import replace
from math import inf, prod
from typing import NamedTuple

import numpy as np

from ....ir.budget import roomy_batch
from ....ir.feeds import Calibration
from ....ir.graph import Graph
from ....ir.runner import Runner
from ...analysis.gradients.task import Task, left
from ...analysis.outputs.aims import aims
from ...analysis.statistics.activations import BATCH
from ...analysis.statistics.judge import judge
from .batches import Augment, Batches
from .images import planes

_RISE = 1.25


class Distance(NamedTuple):
    """The divergence of outputs, and the squared error of what they are made of, relative to the original's variance.

    A divergence is what counts, but a few samples make up most of it: 102 images did not show by it a gain of half a
    point of top-1 that the squared error shows by fifteen of its standard errors.
    """

    divergence: float
    error: float

    def over(self, before: Distance) -> float:
        """Return by what factor this is farther than ``before``: the geometric mean of both factors.

        Infinite where the divergence has risen by more than a quarter, which is beyond chance.
        """
        pairs = [(now, then) for now, then in zip(self, before, strict=True) if now != then]
        if not all(np.isfinite(self)) or any(not then for _, then in pairs):
            return inf
        if self.divergence > _RISE * before.divergence:
            return inf
        return float(prod(now / then for now, then in pairs) ** 0.5)


class Examiner:
    """Holds the original's outputs on samples; :meth:`of` compares another network's."""

    def __init__(self, asked: Task, samples: Calibration, runner: Runner) -> None:
        self._judge, self._asked, self._runner = judge(asked.original, samples, runner), asked, runner
        self._names = [aim.tensor for aim in aims(asked.graph, asked.shapes) if aim.tensor in asked.factors]
        self._feeds = list(samples.batches(roomy_batch(asked.original, BATCH)))
        session = runner.session(asked.original, outputs=self._names)
        self._wanted = [left(session.run(batch), asked.kept) for batch in self._feeds]
        self._samples = samples.samples

    def of(self, graph: Graph) -> Distance:
        """Return how far a copy of the task's graph with other weights is from the original."""
        session, error = self._runner.session(graph, outputs=self._names), 0.0
        for batch, wanted in zip(self._feeds, self._wanted, strict=True):
            found = session.run(batch)
            for name in self._names:
                off = found[name].astype(np.float64) - wanted[name]
                error += self._asked.factors[name] * float((off**2).sum())
        return Distance(self._judge.of(graph), error / self._samples)


def views(graph: Graph, samples: Calibration, augment: Augment, rng: np.random.Generator) -> Calibration:
    """Return samples and, where images may be changed, each once more, changed, as the original has not learnt them."""
    if not augment.flip and not augment.crop:
        return samples
    held = next(samples.batches(samples.samples))
    changed = Batches(held, samples.samples, replace(augment, mixed=0.0), planes(graph), rng).draw()
    return replace(samples, source=lambda: iter((held, changed)), first=0, samples=2 * samples.samples)
