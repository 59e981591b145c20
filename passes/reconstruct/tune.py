"""``tune``: gradient descent on all weights, towards the original's outputs and inner tensors, without labels.

After least squares, which solves one layer at a time, this is what is left to gain. Samples that it does not descend on
decide whether it is kept, and how much of it.

References: Hinton, Vinyals, Dean, "Distilling the knowledge in a neural network", arXiv 1503.02531; Romero et al.,
"FitNets", ICLR 2015 (inner tensors as targets); Zhang et al., "mixup", ICLR 2018.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from math import inf
from typing import ClassVar

from ...ir.errors import UsageError
from ...ir.feeds import Calibration, Feeds
from ...ir.graph import Graph
from ...ir.memory import afford
from ..analysis.gradients.onnx_objective import OnnxDifferentiator
from ..analysis.gradients.optimiser import Optimiser
from ..analysis.gradients.task import Differentiator, Objective, Task
from ..base import Context, Outcome
from .tuning.batches import Augment, Batches, augmentation
from .tuning.examiner import Distance, Examiner, views
from .tuning.images import planes
from .tuning.scales import Scales
from .tuning.search import Schedule, budget, search, written
from .tuning.task import task
from .tuning.weights import fitting_batch

NONE, FULL, SCALES = "none", "full", "scales"
_JUDGED = 128
_CHECKS = 8
_EARLY = 0.5  # of what is left of the budget: checks that come before may have it begin again
_FAR = 1.75
_SLOWEST = 1 / 64
_MEASURED = 256
_FEWEST = 4  # samples of which some are kept apart


@dataclass(frozen=True)
class Tune:
    """Tune all ``weights`` (``full``), or one factor for every row of them, and vectors (``scales``).

    ``budget``: how long, in steps of ``batch`` samples or in time, such as 5min; with time, the result depends on the
    machine. ``rate``: root of the mean square that a step changes a matrix by; ``own``: of biases and depthwise
    kernels; both rise, then fall to nothing. ``features``: how much the relative squared error of inner tensors counts
    beside that of the outputs. ``mixed``: samples are mixed by weights from a Beta distribution of this parameter, 0
    for none. ``augment``: ``flip`` mirrors images, ``crop4`` moves them by up to 4 pixels.
    """

    weights: str = FULL
    budget: str = "640steps"
    batch: int = 64
    rate: float = 4e-4
    own: float = 3e-4
    features: float = 10.0
    mixed: float = 0.4
    average: float = 0.98
    augment: tuple[str, ...] = ()
    name: ClassVar[str] = "tune"
    needs: ClassVar[frozenset[str]] = frozenset({"reference"})
    preserves: ClassVar[frozenset[str]] = frozenset({"reference", "written"})

    def check(self) -> None:
        """Raise UsageError for a wrong option."""
        if self.weights not in (FULL, SCALES):
            raise UsageError(f"tune knows no weights '{self.weights}'", hint=f"{FULL} or {SCALES}")
        if not all(0 <= value < inf for value in (self.rate, self.own, self.features, self.mixed)):
            raise UsageError("rates, features and mixed must be numbers from 0 on")
        if self.batch < 1 or not 0 <= self.average < 1:
            raise UsageError("batch must be at least 1, and average a share below 1")
        budget(self.budget)
        augmentation(self.augment, self.mixed)

    def run(self, graph: Graph, context: Context) -> Outcome:
        """Write the weights in the end, or the nearest to the original on the way; none if all are farther than before.

        Raises UsageError, and UnsupportedOpError at a node without a gradient.
        """
        self.check()
        reference = context.plan.reference
        assert reference is not None  # the manager has checked what the pass needs
        if context.calibration is None or context.calibration.samples < _FEWEST:
            return Outcome(False, (f"fewer than {_FEWEST} samples, so nothing is tuned",))
        if context.calibration.uneven or context.calibration.lie:
            return Outcome(False, ("the inputs are no batch of equal samples, so nothing is tuned",))
        if not context.plan.kept and not context.plan.formed:
            return Outcome(False, ("nothing was removed, so nothing is tuned",))
        asked, changes = self._task(graph, context), augmentation(self.augment, self.mixed)
        seen = views(graph, context.judging(_JUDGED), changes, context.rng())
        examiner = Examiner(asked, seen, context.runner)
        before = examiner.of(graph)
        found = list(self._candidates(asked, changes, context, examiner, before))
        factor, after, chosen = found[-1] if found[-1][0] < 1 else min(found, key=lambda each: each[0])
        figures = {"error_before": before.divergence, "squared_before": before.error}
        if not factor < 1:
            nearest = min((distance for _, distance, _ in found), key=lambda each: each.error)
            told = _told(before, nearest, "tuned at best")
            return Outcome(False, (f"tuning brought nothing, so all is as it was: {told}",), figures)
        graph.become(chosen)
        figures |= {"error_after": after.divergence, "squared_after": after.error}
        doubt = "" if after.shown(before) else "; by chance so few samples may differ as much"
        return Outcome(True, (f"tuned: {_told(before, after)}{doubt}",), figures)

    def _candidates(
        self, asked: Task, changes: Augment, context: Context, examiner: Examiner, before: Distance
    ) -> Iterator[tuple[float, Distance, Graph]]:
        """Yield networks on the way, each by what factor it is farther than before, and how far.

        Where one in the first half is far off, steps are too long for what is left to gain: a quarter of their length
        takes what is left of the budget.
        """
        make: Differentiator = context.differentiator or OnnxDifferentiator()
        samples = _whole(context.learning())
        batches = Batches(samples, asked.batch, changes, planes(asked.graph), context.rng())
        objective: Objective = make(asked, context.runner)
        if self.weights == SCALES:
            objective = Scales(objective)
        gone, slower = 0.0, 1.0
        while True:
            begun, optimiser = gone, Optimiser(self.rate * slower, self.own * slower)
            tell = partial(_tell, context, begun)
            for done, weights in search(objective, batches, optimiser, self._schedule(1 - begun), tell):
                gone, tried = begun + (1 - begun) * done, written(asked.graph, weights)
                distance = examiner.of(tried)
                yield distance.over(before), distance, tried
                if done < _EARLY and slower > _SLOWEST and not distance.error <= _FAR * before.error:
                    slower /= 4
                    break
            else:
                return

    def _schedule(self, share: float) -> Schedule:
        steps, seconds = budget(self.budget)
        return Schedule(share * steps, share * seconds, _CHECKS, self.average)

    def _task(self, graph: Graph, context: Context) -> Task:
        reference = context.plan.reference
        assert reference is not None
        size, few = fitting_batch(graph, self.batch), context.learning().head(_MEASURED)
        return task(graph.copy(), reference.graph, context.plan.kept, few, self.features, size, context.runner)


def _tell(context: Context, begun: float, done: float) -> None:
    context.progress("tuning", begun + (1 - begun) * done)


def _told(before: Distance, after: Distance, which: str = "now") -> str:
    told = f"divergence {before.divergence:.3g}, {which} {after.divergence:.3g}"
    return f"on samples apart {told}, squared error {before.error:.3g}, {which} {after.error:.3g}"


def _whole(samples: Calibration) -> Feeds:
    """Hold all samples in memory, which random batches are drawn from. Raises BudgetError."""
    first = next(samples.batches(samples.step))
    each = sum(values.nbytes for values in first.values()) // samples.step
    afford(2 * each * samples.samples, "tuning, which holds its samples in memory,")
    return next(samples.batches(samples.samples))
