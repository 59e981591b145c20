"""The commands as Python functions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Unpack

import onnx

from ..backends.ort import OrtRunner
from ..frontends import load as frontend
from ..frontends.calibration import Data, calibration
from ..frontends.scripts import metric as metric_function
from ..ir.errors import TargetNotMetError, UsageError
from ..ir.feeds import Calibration, batch_size
from ..ir.graph import Graph
from ..passes.allocate.target import Target
from ..passes.base import Context
from ..passes.manager import PassManager
from ..passes.observers import Record
from . import evaluation
from .analysis import Analysis
from .compression import Progress, Rewritten, baseline, rewrite, silent
from .measure import Metric, accuracy
from .outcome import guarded, missed, report, tightened
from .report import Report
from .settings import Options, Settings

Source = str | Path | bytes | onnx.ModelProto | Graph

_MEASURED = 1024


@dataclass(frozen=True)
class CompressResult:
    """The smaller model, the figures before and after, and what each pass did.

    ``missed`` says how the target was not met, where less than that was allowed.
    """

    model: onnx.ModelProto
    report: Report
    records: tuple[Record, ...]
    missed: TargetNotMetError | None = None


def load(source: Source) -> Graph:
    """Read a model that the checker and onnxruntime accept. Raises InvalidModelError."""
    return source if isinstance(source, Graph) else frontend.load(source, OrtRunner())[0]


def analyse(source: Source) -> Analysis:
    """Find groups of coupled channels, pins with reasons, and the cost of every layer. Raises InvalidModelError."""
    return Analysis.of(load(source), OrtRunner())


def compress(
    source: Source,
    *,
    target: str | Target,
    data: Data | None = None,
    samples: int | None = None,
    labels: str | None = None,
    metric: str | Metric | None = None,
    progress: Progress = silent,
    **options: Unpack[Options],
) -> CompressResult:
    """Make a model smaller: to ``target``, or fail. More options are those of the command: see :class:`Options`.

    ``data`` is calibration data as in :func:`optimise_onnx.frontends.calibration.calibration`, of which ``samples`` are
    used (all by default); without it channels are ranked by weights alone. ``labels`` names an array in ``data``, and
    ``metric`` a function (see :func:`optimise_onnx.frontends.scripts.metric`), for the report only. Models are compared
    on up to 1024 samples that come after the calibration samples, else on these.

    Raises InvalidModelError, CalibrationError, UsageError, TargetNotMetError, UnsupportedOpError, VerificationError.
    """
    return compress_with(source, Settings.parse(target, **options), data, samples, labels, metric, progress)


def compress_with(
    source: Source,
    settings: Settings,
    data: Data | None = None,
    samples: int | None = None,
    labels: str | None = None,
    metric: str | Metric | None = None,
    progress: Progress = silent,
) -> CompressResult:
    """Do what :func:`compress` does, with its options gathered in ``settings``."""
    if data is None and (labels or metric or samples is not None):
        raise UsageError("samples, labels and metric need data", hint="give --data")
    if data is None and settings.forms:
        raise UsageError("forms are fitted to what layers read, so they need data", hint="give --data")
    graph = load(source)
    used, measured = (None, None) if data is None else _split(data, graph, samples, labels)
    scored = metric_function(metric) if isinstance(metric, str) else metric or (accuracy(labels) if labels else None)
    return compress_graph(graph, settings, used, measured, scored, progress)


def compress_graph(
    graph: Graph,
    settings: Settings,
    used: Calibration | None,
    measured: evaluation.Samples | None,
    metric: Metric | None = None,
    progress: Progress = silent,
) -> CompressResult:
    """Compress with the samples in ``used`` and compare on those in ``measured``, or on random inputs."""
    runner = OrtRunner()
    samples = measured or evaluation.at_random(graph, runner.session(graph), settings.seed)

    def attempt(wanted: Settings) -> tuple[Rewritten, Report]:
        rewritten = rewrite(graph, wanted, used, runner, progress)
        progress("measuring", 0.0)
        return rewritten, report(graph, rewritten, settings, runner, used, samples, metric)

    rewritten, found = attempt(settings)
    if missed(settings, found) is not None and found.aim.measured:
        rewritten, found = attempt(tightened(settings, found.aim))
    if settings.guard and not found.aim.measured and settings.latency_command is None:
        kept = guarded(graph, rewritten, found, settings, runner, used, samples, progress)
        if kept is not rewritten:
            rewritten, found = kept, report(graph, kept, settings, runner, used, samples, metric)
    problem = missed(settings, found)
    if problem is not None and not settings.allow_partial:
        raise problem
    return CompressResult(rewritten.graph.to_model(), found, rewritten.records, problem)


def run_pipeline(
    source: Source,
    manager: PassManager,
    data: Data | None = None,
    samples: int | None = None,
    seed: int = 0,
    verify: bool = True,
    progress: Progress = silent,
) -> tuple[Graph, list[Record]]:
    """Run passes on a copy of the model and load the result in onnxruntime once. Raises what the passes raise."""
    runner = OrtRunner()
    original = load(source)
    used = None if data is None else calibration(data, original, samples=samples)
    graph = original.copy()
    context = Context(runner, baseline(original, runner), used, seed, verify, progress=progress)
    records = manager.run(graph, context)
    runner.session(graph)
    return graph, records


def _split(data: Data, graph: Graph, samples: int | None, labels: str | None) -> tuple[Calibration, evaluation.Samples]:
    """Return the samples to calibrate with and those to measure on, labels with them."""
    step = batch_size(graph, 1)
    if samples is not None and samples < step:
        raise UsageError(f"samples={samples} is too few", hint=f"the model takes {step} at a time")
    limit = None if samples is None else samples + max(_MEASURED, step)
    read = calibration(data, graph, samples=limit, extra={labels} if labels else set())
    used = read if samples is None else read.head(samples)
    rest = read.tail(used.samples)
    inputs = used.only(t.name for t in graph.inputs)
    if rest.samples:
        return inputs, evaluation.from_data(graph, rest, "samples not used for calibration")
    return inputs, evaluation.from_data(graph, used, "calibration samples")
