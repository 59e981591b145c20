"""``tune``: gradient descent on all weights, towards the original's outputs and inner tensors, without labels.

After least squares, which solves one layer at a time, this is what is left to gain. Samples that neither it nor the
solves have seen decide how far it goes, and whether any of it is kept.

References: Hinton, Vinyals, Dean, "Distilling the knowledge in a neural network", arXiv 1503.02531; Romero et al.,
"FitNets", ICLR 2015 (inner tensors as targets); Zhang et al., "mixup", ICLR 2018.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ...ir.feeds import Calibration, Feeds, batch_size
from ...ir.graph import Graph
from ..analysis.statistics.judge import judge
from ..base import Context, Outcome
from .tuning.batches import Augment, Batches
from .tuning.onnx_objective import OnnxObjective
from .tuning.optimiser import Optimiser
from .tuning.search import Schedule, search, written
from .tuning.task import Task, task

_JUDGED = 128
_CHECKS = 8
_MEASURED = 256


@dataclass(frozen=True)
class Tune:
    """Take ``steps`` of ``batch`` samples, or as many as ``seconds`` allow where that is not 0.

    ``rate``: root of the mean square that a step changes a matrix by, ``own`` of biases and depthwise kernels.
    ``features``: how much the relative squared error of inner tensors counts beside that of the outputs. ``average``:
    see :class:`.tuning.search.Schedule`. ``flip``, ``crop`` and ``mixed`` change samples, see
    :class:`.tuning.batches.Augment`.
    """

    steps: int = 640
    seconds: float = 0.0
    batch: int = 64
    rate: float = 1e-4
    own: float = 3e-4
    features: float = 50.0
    average: float = 0.98
    flip: bool = False
    crop: int = 0
    mixed: float = 0.4
    name: ClassVar[str] = "tune"
    needs: ClassVar[frozenset[str]] = frozenset({"reference"})
    preserves: ClassVar[frozenset[str]] = frozenset({"reference", "written"})

    def run(self, graph: Graph, context: Context) -> Outcome:
        """Write the weights that are nearest to the original on the samples apart. Raises UsageError."""
        reference = context.plan.reference
        assert reference is not None  # the manager has checked what the pass needs
        if context.calibration is None:
            return Outcome(False, ("no calibration data, so nothing to tune on",))
        examiner = judge(reference.graph, context.judging(_JUDGED), context.runner)
        first = best = examiner.of(graph)
        samples = _whole(context.fitting())
        asked = self._task(graph, context, samples)
        objective = (context.differentiator or OnnxObjective)(asked, context.runner)
        batches = Batches(samples, asked.batch, Augment(self.flip, self.crop, self.mixed), context.rng())
        schedule = Schedule(self.steps, self.seconds, _CHECKS, self.average)
        for done, weights in search(objective, batches, Optimiser(self.rate, self.own), schedule):
            context.progress("tuning", done)
            tried = written(asked.graph, weights)
            error = examiner.of(tried)
            if error < best:
                best = error
                graph.become(tried)
        better = best < first
        note = f"{len(asked.weights)} weights tuned" if better else "tuning brought nothing: left as it was"
        return Outcome(better, (note,), {"error_before": first, "error_after": best})

    def _task(self, graph: Graph, context: Context, samples: Feeds) -> Task:
        reference = context.plan.reference
        assert reference is not None
        size = batch_size(graph, self.batch)
        few = {name: values[:_MEASURED] for name, values in samples.items()}
        return task(graph.copy(), reference.graph, context.plan.kept, few, self.features, size, context.runner)


def _whole(samples: Calibration) -> Feeds:
    pieces = list(samples.batches(_MEASURED))
    return {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}
