"""A compression begun: all that does not depend on the target is done once, whatever the number of targets."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from ..backends.cores import cores
from ..backends.ort import OrtRunner
from ..ir.errors import TargetNotMetError, UsageError
from ..ir.feeds import Calibration
from ..ir.graph import Graph
from ..ir.workers import IN_PROCESS, Workers
from ..passes.analysis.channels.protected import held_tensors
from ..passes.analysis.costs.target import Target
from ..passes.base import silent
from ..passes.manager import PassManager
from ..passes.search.meet_target import MeetTarget
from . import evaluation
from .agreement import check_finite
from .answers import Answers
from .candidates import Candidates, carried_out
from .compression import Executed, Progress, Started, started
from .measure import Metric, check_metric
from .outcome import missed, report
from .recipes import pipeline
from .result import CompressResult
from .settings import Settings
from .sizing import ALONE, sized
from .stages import stages, with_codes
from .working import carriers


@dataclass(frozen=True)
class Carried:
    """A target carried out: the result, and where it was quantised, what pruning and quantising alone leave.

    ``kept``: it is from the cache.
    """

    executed: Executed
    pruned: Graph
    quantised: Graph | None = None
    kept: bool = False


@dataclass(frozen=True)
class Begun:
    """The model after the passes that every target starts with, and what it is judged by.

    ``samples`` compare models, by ``metric`` too where there is one; no pass sees them.
    """

    graph: Graph
    settings: Settings
    used: Calibration | None
    samples: evaluation.Samples
    metric: Metric | None
    answers: Answers
    started: Started
    progress: Callable[[str, float], None]
    candidates: Candidates

    def compressed(self, target: Target) -> CompressResult:
        """Compress to a target and measure. Raises what passes raise; a miss that is measured is in the result."""
        return self.measured(target, self.carried_out(target))

    def carried_out(self, target: Target) -> Carried:
        """Run the passes for a target here, on a copy. Raises what they raise."""
        found = carried_out(self.settings, self.started, target)
        if isinstance(found, TargetNotMetError):
            raise found
        return self._ended(found)

    def each(self, targets: Sequence[Target]) -> Iterator[tuple[int, Carried | TargetNotMetError]]:
        """Yield the number of each target and what came of it, as workers carry them out, or as the cache has it.

        In any order. Raises what the passes raise, but for TargetNotMetError.
        """
        for number, found, kept in self.candidates.each(targets):
            yield number, found if isinstance(found, TargetNotMetError) else replace(self._ended(found), kept=kept)

    def _ended(self, executed: Executed) -> Carried:
        """Quantise, where that is asked for."""
        if not self.settings.quantise or self.used is None:
            return Carried(executed, executed.graph)
        self.progress("quantising", 0.0)
        coded, alone = with_codes(self.graph, executed, self.answers.runner, self.used)
        return Carried(coded, executed.graph, alone)

    def measured(self, target: Target, carried: Carried) -> CompressResult:
        """Hold what came of a target against the original."""
        self.progress("measuring", 0.0)
        settings, samples = replace(self.settings, target=target), self.samples
        metric = self.metric if samples.judges else None
        found = report(self.answers, carried.executed, settings, self.used, samples, metric)
        if carried.quantised is not None:
            steps = stages(self.answers, carried.pruned, carried.quantised, found, samples)
            found = replace(found, stages=steps)
        executed = carried.executed
        return CompressResult(executed.graph, found, executed.records, missed(settings, found), executed.start)


def begin(
    graph: Graph,
    settings: Settings,
    used: Calibration | None,
    measured: evaluation.Samples | None,
    metric: Metric | None = None,
    progress: Progress = silent,
    workers: Workers = IN_PROCESS,
) -> Begun:
    """Run what every target starts with; models are compared on ``measured``, or on random inputs. ``workers`` take
    statistics, and carry out several targets.

    Raises what the passes raise, VerificationError where the original gives NaN.
    """
    for pattern in settings.keep_nodes:
        held_tensors(graph, pattern, "")  # refuses one that means nothing, which the others would hide
    runner = OrtRunner(len(cores()))  # said, so that workers split sums as this process does
    graph = sized(graph, runner, settings.input_shapes, used)
    session = runner.session(graph)
    if graph.sizes is not None and graph.sizes.alone:
        if settings.batch > 1:
            raise UsageError(f"the batch cannot be {settings.batch}", why=ALONE, hint="leave --batch out")
        measured = measured and evaluation.singly(measured)
    samples = measured or replace(evaluation.at_random(graph, session, settings.seed), judges=used is None)
    for name, values in session.run(evaluation.first(graph, samples)).items():
        check_finite(name, values)
    if metric is not None and samples.judges:
        check_metric(session, samples, metric)
    shared, _ = PassManager.parse(pipeline(settings)).parted(MeetTarget.name)
    start = started(graph, shared, settings, used, runner, progress, workers)
    candidates = Candidates(settings, start, carriers(settings, workers))
    return Begun(graph, settings, used, samples, metric, Answers(graph, runner), start, progress, candidates)
