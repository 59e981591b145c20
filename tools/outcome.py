"""What came of a compression: both models measured, held against the target, and against the original's time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..backends.ort import OrtRunner
from ..ir.cost import cost, total
from ..ir.errors import TargetNotMetError
from ..ir.feeds import Calibration, random_feeds
from ..ir.graph import Graph
from ..ir.runner import Runner
from ..ir.timing import Latency
from . import evaluation
from .compression import Progress, Rewritten, rewrite
from .measure import Metric, measure
from .report import OnDevice, Report
from .settings import Settings

_SECONDS = 1.0
_NOISE = 1.01  # two loads of one model may differ by as much


def report(
    original: Graph,
    rewritten: Rewritten,
    settings: Settings,
    runner: Runner,
    calibration: Calibration | None,
    samples: evaluation.Samples,
    metric: Metric | None,
) -> Report:
    """Measure both models. Raises what :func:`measure` raises."""
    before, after = runner.session(original), runner.session(rewritten.graph)
    fidelity = measure(before, after, samples, metric)
    times = timed(original, rewritten.graph, settings, samples)
    return Report(
        target=str(settings.target),
        before=rewritten.before,
        after=total(cost(rewritten.graph)),
        fidelity=fidelity,
        latency=times,
        calibration=calibration.samples if calibration else 0,
        seed=settings.seed,
        pins=rewritten.pins,
        records=rewritten.records,
        device=_on_device(rewritten, settings, times),
    )


def timed(original: Graph, graph: Graph, settings: Settings, samples: evaluation.Samples) -> Latency:
    """Time both models in turns on this machine, at the threads and batch that were asked for."""
    runner = OrtRunner(settings.threads, spinning=True)
    rng = np.random.default_rng(settings.seed)
    feeds = evaluation.first(original, samples) if settings.batch == 1 else random_feeds(original, rng, settings.batch)
    return runner.latency([runner.session(original), runner.session(graph)], [feeds, feeds], _SECONDS)


def guarded(
    original: Graph,
    rewritten: Rewritten,
    found: Report,
    settings: Settings,
    runner: Runner,
    calibration: Calibration | None,
    samples: evaluation.Samples,
    progress: Progress,
) -> Rewritten:
    """Return a model that is not slower than the original by more than noise: where ``rewritten`` is, one whose widths
    are multiples of what pays, or of half or a quarter of that.

    Raises TargetNotMetError when none is found, unless less is allowed.
    """
    if not slower(found.latency):
        return rewritten
    multiple = rewritten.device.multiple()
    for align in sorted({multiple, multiple // 2, multiple // 4} - {0, 1, settings.align}, reverse=True):
        try:
            snapped = rewrite(original, replace(settings, align=align), calibration, runner, progress)
        except TargetNotMetError:
            continue
        if not slower(timed(original, snapped.graph, settings, samples)):
            return snapped
    if settings.allow_partial:
        return rewritten
    low, middle, high = found.latency.ratio
    raise TargetNotMetError(
        "the smaller model is not faster",
        why=f"it takes {middle:.3f} of the original's time here ({low:.3f} to {high:.3f}), at other widths too",
        hint="--target latency=0.8x spends accuracy on time; --no-guard writes it all the same",
    )


def slower(found: Latency) -> bool:
    """Whether the second model takes longer, beyond noise."""
    return found.differs and found.ratio.middle > 1


def tightened(settings: Settings, found: OnDevice) -> Settings:
    """Ask for as much less as the model came out slower than the limit."""
    target = settings.target
    amount = target.amount * min(1.0, target.budget(found.before) / found.after)
    return replace(settings, target=replace(target, amount=amount))


def missed(settings: Settings, found: Report) -> TargetNotMetError | None:
    """Say how the target is missed; None where it is met. A time is missed when it is so by more than noise."""
    target = settings.target
    if found.device is not None:
        limit, reached = target.budget(found.device.before), found.device.after
        if found.device.least <= limit * _NOISE:
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


def _on_device(rewritten: Rewritten, settings: Settings, here: Latency) -> OnDevice | None:
    """Measure for a target of latency where it counts: on this machine that has been done."""
    kind = settings.target.kind
    if settings.target.meter is not None:
        return None
    if kind == "latency" and settings.latency_command is None:
        before = here.p50[0] / 1e3
        return OnDevice(kind, before, before * here.ratio.middle, before * here.ratio.low, rewritten.predicted)
    before, after = rewritten.device.times([rewritten.start, rewritten.graph])
    return OnDevice(kind, before, after, after, rewritten.predicted)
