"""The commands as Python functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx

from ..backends.ort import OrtRunner
from ..frontends import load as frontend
from ..frontends.calibration import Data, calibration
from ..frontends.scripts import metric as metric_function
from ..ir.errors import UsageError
from ..ir.feeds import Calibration, batch_size
from ..ir.graph import Graph
from ..passes.allocate.targets import Target
from ..passes.observers import Record
from . import probe
from .analysis import Analysis
from .compression import Settings, report, rewrite
from .measure import Metric, accuracy
from .report import Report

Source = str | Path | bytes | onnx.ModelProto

_MEASURED = 1024


@dataclass(frozen=True)
class CompressResult:
    """The smaller model, the figures before and after, and what each pass did."""

    model: onnx.ModelProto
    report: Report
    records: tuple[Record, ...]


def load(source: Source) -> Graph:
    """Read a model that the checker and onnxruntime accept. Raises InvalidModelError."""
    return frontend.load(source, OrtRunner())[0]


def analyse(source: Source | Graph) -> Analysis:
    """Find groups of coupled channels, what has to stay and why, and the cost of every layer. Raises InvalidModelError."""
    return Analysis.of(source if isinstance(source, Graph) else load(source))


def compress(
    source: Source | Graph,
    *,
    target: str | Target,
    data: Data | None = None,
    samples: int | None = None,
    criterion: str | None = None,
    keep: Sequence[str] = (),
    keep_type: Sequence[str] = (),
    max_ratio: float | None = None,
    align: int = 1,
    seed: int = 0,
    strict: bool = False,
    labels: str | None = None,
    metric: str | Metric | None = None,
    progress: Callable[[str, float], None] = lambda _text, _share: None,
) -> CompressResult:
    """Make a model smaller: to ``target``, or fail.

    ``data`` is calibration data as in :func:`optimise_onnx.frontends.calibration.calibration`, of which ``samples`` are
    used (all by default); without it channels are ranked by weights alone. ``criterion`` defaults to ``obs`` with data
    and ``magnitude`` without. ``keep`` are regular expressions of nodes or tensors whose channels stay, ``keep_type``
    operators likewise. At most the share ``max_ratio`` of a group goes, and widths stay multiples of ``align``.
    ``strict`` refuses models with operators that have no rule. ``labels`` names an array in ``data``, and ``metric``
    a function (see :func:`optimise_onnx.frontends.scripts.metric`), for the report only. Models are compared on up to
    1024 samples that come after the calibration samples, else on these.

    Raises InvalidModelError, CalibrationError, UsageError, TargetNotMetError, UnsupportedOpError, VerificationError.
    """
    if data is None and (labels or metric or samples is not None):
        raise UsageError("samples, labels and metric need data", hint="give --data")
    wanted = target if isinstance(target, Target) else Target.parse(target)
    settings = Settings(
        wanted,
        criterion or ("obs" if data is not None else "magnitude"),
        tuple(keep),
        tuple(keep_type),
        max_ratio,
        align,
        seed,
        strict,
    )
    runner = OrtRunner()
    graph = source if isinstance(source, Graph) else load(source)
    used, measured = _split(data, graph, samples, labels) if data is not None else (None, None)
    scored = metric_function(metric) if isinstance(metric, str) else metric or (accuracy(labels) if labels else None)
    rewritten = rewrite(graph, settings, used, runner, progress)
    progress("measuring", 0.0)
    found = report(graph, rewritten, settings, runner, used, measured, scored)
    return CompressResult(rewritten.graph.to_model(), found, rewritten.records)


def _split(data: Data, graph: Graph, samples: int | None, labels: str | None) -> tuple[Calibration, probe.Samples]:
    """Return the samples to calibrate with and those to measure on, labels with them."""
    step = batch_size(graph, 1)
    if samples is not None and samples < step:
        raise UsageError(f"samples={samples} is too few", hint=f"the model takes {step} at a time")
    limit = None if samples is None else samples + max(_MEASURED, step)
    read = calibration(data, graph, samples=limit, extra={labels} if labels else set())
    used = read if samples is None else read.head(samples - samples % step)
    rest = read.tail(used.samples)
    inputs = used.only(t.name for t in graph.inputs)
    if rest.samples:
        return inputs, probe.from_data(graph, rest, "samples not used for calibration")
    return inputs, probe.from_data(graph, used, "calibration samples")
