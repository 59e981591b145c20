"""What came of a compression: both models measured, and held against the target."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np

from ..backends.ort import OrtRunner
from ..ir.cost import Cost, cost, total
from ..ir.errors import TargetNotMetError, too_noisy
from ..ir.feeds import Calibration, random_feeds
from ..ir.graph import Graph
from ..ir.quantity import LATENCY
from ..ir.shapes import input_sizes
from ..ir.timing import PATIENCE, Interval, Latency
from ..passes.analysis.channels.groups import analyse
from ..passes.analysis.costs.target import Target
from . import evaluation, sizing
from .answers import Answers
from .caveats import caveats, tuned, unrepaired
from .compression import Executed
from .layers import layer_lines
from .measure import Metric, compared
from .report import Aim, Report, pin_lines
from .settings import Settings

_SECONDS = 1.0


def report(
    answers: Answers,
    executed: Executed,
    settings: Settings,
    calibration: Calibration | None,
    samples: evaluation.Samples,
    metric: Metric | None,
) -> Report:
    """Measure both models. Raises what :func:`measure` raises."""
    original = answers.graph
    fidelity = compared(answers, executed.graph, samples, metric)
    times = timed(original, executed.graph, settings, samples)
    reference = executed.plan.reference
    channels = reference.channels if reference is not None else analyse(executed.graph)
    return Report(
        target=str(settings.target),
        before=_stored(executed.start, original),
        after=_stored(executed.graph, executed.graph),
        fidelity=fidelity,
        latency=times,
        calibration=calibration.samples if calibration else 0,
        seed=settings.seed,
        pins=pin_lines(channels),
        records=executed.records,
        input_shapes=input_sizes(original, 1),
        notes=(
            *executed.notes,
            *sizing.notes(original),
            *sizing.uncounted(executed.graph),
            *caveats(fidelity, calibration),
            *unrepaired(executed.graph),
            *tuned(executed.records),
        ),
        aim=_aim(original, executed, settings, times),
        layers=layer_lines(executed.start, executed.graph),
    )


def _stored(counted: Graph, written: Graph) -> Cost:
    """Count MACs where all shapes are known, and parameters and bytes in the file."""
    known = total(cost(counted))
    parameters = known.parameters if written is counted else total(cost(written)).parameters
    return replace(known, parameters=parameters, bytes=written.written_bytes())


def timed(original: Graph, graph: Graph, settings: Settings, samples: evaluation.Samples) -> Latency:
    """Time both models in turns on this machine, at the threads and batch that were asked for.

    Where that is what the target limits, it goes on until the whole interval lies on one side of it, or for PATIENCE.
    """
    runner = OrtRunner(settings.threads, spinning=True)
    rng = np.random.default_rng(settings.seed)
    feeds = evaluation.first(original, samples) if settings.batch == 1 else random_feeds(original, rng, settings.batch)

    models, given = [original, graph], [feeds, feeds]
    found, end = runner.compare(models, given, _SECONDS), time.monotonic() + PATIENCE
    while _aims_here(settings) and _undecided(settings.target, found) and time.monotonic() < end:
        found = found.joined(runner.compare(models, given, _SECONDS))
    return found


def missed(settings: Settings, found: Report) -> TargetNotMetError | None:
    """Say how the target is missed, or that it cannot be told; None where all of the interval is within it."""
    target, aim = settings.target, found.aim
    limit, said = target.budget(aim.before), aim.quantity.said
    interval = Interval(aim.least, aim.after, aim.most)
    if interval.within(limit):
        return None
    why = f"it takes {said(aim.after)}, the limit is {said(limit)}"
    if interval.undecided(limit):
        return too_noisy(str(target), f"{why}, and it may be {said(aim.least)} to {said(aim.most)}")
    hint = "" if settings.allow_partial else "--allow-partial writes the best found"
    return TargetNotMetError(f"the target {target} was not met", why=why, hint=hint)


def _aims_here(settings: Settings) -> bool:
    return settings.target.quantity == LATENCY and settings.here


def _undecided(target: Target, found: Latency) -> bool:
    return (found.ratio if target.relative else found.last).undecided(target.amount)


def _aim(original: Graph, executed: Executed, settings: Settings, here: Latency) -> Aim:
    """Count or measure what the target limits, where it counts: on this machine that has been done."""
    target = settings.target
    whole = target.whole(original, executed.start)
    if target.meter is not None:
        after = target.meter.of(executed.graph)
        return Aim(target.quantity, target.meter.of(whole), after, after, after)
    predicted = executed.plan.decision.figures.get("latency_predicted")
    if _aims_here(settings):
        before = here.p50[0] / 1e3
        low, middle, high = (before * end for end in here.ratio) if target.relative else here.last
        return Aim(LATENCY, before, middle, low, high, predicted)
    before, after = executed.device(target.quantity.name).times([whole, executed.graph])
    return Aim(target.quantity, before, after, after, after, predicted)
