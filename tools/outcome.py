"""What came of a compression: both models measured, and held against the target."""

from __future__ import annotations

import numpy as np

from ..backends.ort import OrtRunner
from ..ir.cost import cost, total
from ..ir.errors import TargetNotMetError
from ..ir.feeds import Calibration, random_feeds
from ..ir.graph import Graph
from ..ir.runner import Runner
from ..ir.shapes import input_sizes
from ..ir.timing import Latency, latency
from ..passes.analysis.channels.groups import analyse
from ..passes.search.meet_target import NOISE
from . import evaluation, sizing
from .compression import Executed
from .measure import Metric, measure
from .report import OnDevice, Report, pin_lines
from .settings import Settings

_SECONDS = 1.0


def report(
    original: Graph,
    executed: Executed,
    settings: Settings,
    runner: Runner,
    calibration: Calibration | None,
    samples: evaluation.Samples,
    metric: Metric | None,
) -> Report:
    """Measure both models. Raises what :func:`measure` raises."""
    before, after = runner.session(original), runner.session(executed.graph)
    fidelity = measure(before, after, samples, metric)
    times = timed(original, executed.graph, settings, samples)
    reference = executed.plan.reference
    channels = reference.channels if reference is not None else analyse(executed.graph)
    return Report(
        target=str(settings.target),
        before=total(cost(executed.start)),
        after=total(cost(executed.graph)),
        fidelity=fidelity,
        latency=times,
        calibration=calibration.samples if calibration else 0,
        seed=settings.seed,
        pins=pin_lines(channels),
        records=executed.records,
        input_shapes=input_sizes(original, 1),
        notes=sizing.notes(original),
        device=_on_device(executed, settings, times),
    )


def timed(original: Graph, graph: Graph, settings: Settings, samples: evaluation.Samples) -> Latency:
    """Time both models in turns on this machine, at the threads and batch that were asked for."""
    runner = OrtRunner(settings.threads, spinning=True)
    rng = np.random.default_rng(settings.seed)
    feeds = evaluation.first(original, samples) if settings.batch == 1 else random_feeds(original, rng, settings.batch)
    return latency([runner.session(original), runner.session(graph)], [feeds, feeds], _SECONDS)


def missed(settings: Settings, found: Report) -> TargetNotMetError | None:
    """Say how the target is missed; None where it is met. A time is missed when it is so by more than noise."""
    target = settings.target
    if found.device is not None:
        limit, reached = target.budget(found.device.before), found.device.after
        if found.device.least <= limit * NOISE:
            return None
        why = f"it takes {found.device.said(reached)}, the limit is {found.device.said(limit)}"
    else:
        before, after = target.measure(found.before), target.measure(found.after)
        limit = target.budget(before)
        if after <= limit:
            return None
        why = f"{target.kind} came to {after} ({after / max(before, 1):.3f}x), the limit is {limit:.0f}"
    hint = "" if settings.allow_partial else "--allow-partial writes the best found"
    return TargetNotMetError(f"the target {target} was not met", why=why, hint=hint)


def _on_device(executed: Executed, settings: Settings, here: Latency) -> OnDevice | None:
    """Measure for a target of latency where it counts: on this machine that has been done."""
    kind = settings.target.kind
    if not settings.target.measured:
        return None
    predicted = executed.plan.decision.figures.get("latency_predicted")
    if kind == "latency" and settings.here:
        before = here.p50[0] / 1e3
        return OnDevice(kind, before, before * here.ratio.middle, before * here.ratio.low, predicted)
    before, after = executed.device(kind).times([executed.start, executed.graph])
    return OnDevice(kind, before, after, after, predicted)
