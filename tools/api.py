"""The commands as Python functions."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import onnx

from ..backends.cores import cores
from ..backends.ort import OrtRunner
from ..frontends import load as frontend
from ..frontends.calibration import Data, calibration
from ..frontends.given import Given
from ..frontends.scripts import metric as metric_function
from ..ir.errors import UsageError
from ..ir.feeds import Calibration, batch_size
from ..ir.graph import Graph
from ..passes.analysis.costs.target import Target
from ..passes.base import silent
from ..passes.checkpoint import given_facts
from ..passes.manager import PassManager
from ..passes.reconstruct.tune import NONE
from . import evaluation
from .aiming import begin
from .analysis import Analysis
from .blame import blamed
from .compression import Executed, Progress, execute
from .doubts import doubts
from .made import Made, Request
from .max_drop import least_cost
from .measure import Metric, accuracy
from .recipe_file import merged
from .result import CompressResult
from .settings import Running, Settings, documented
from .sizing import InputShapes, shapes, sized
from .stages import check_float
from .tape import Tape
from .terminal import Terminal
from .working import working

Source = str | Path | bytes | onnx.ModelProto | Graph | Any
"""A file, bytes, a model in memory, or one of another framework: a module, an estimator, a function."""

_MEASURED = 1024
_DECIDING = 8192  # where a loss is to be told from its limit: half of them choose, half report
_KEPT_APART = 5


@dataclass(frozen=True)
class Gathered:
    """A model as it was read, the samples that passes see, those that measure, labels with them, and the metric."""

    graph: Graph
    used: Calibration | None
    measured: evaluation.Samples | None
    metric: Metric | None


def load(
    source: Source, *, example_inputs: Any = None, input_shapes: InputShapes | None = None, trust: bool = False
) -> Graph:
    """Read a model that the checker and onnxruntime accept, exported by its framework where it is of another one.

    The other arguments are as in :func:`compress`. Raises InvalidModelError, UsageError.
    """
    if isinstance(source, Graph):
        return source
    return frontend.load(source, OrtRunner(), Given(example_inputs, shapes(input_shapes), trust))[0]


def analyse(
    source: Source, *, example_inputs: Any = None, input_shapes: InputShapes | None = None, trust: bool = False
) -> Analysis:
    """Find groups of coupled channels, pins with reasons, and the cost of every layer.

    The arguments are as in :func:`compress`. Raises InvalidModelError, UsageError.
    """
    runner = OrtRunner()
    graph = load(source, example_inputs=example_inputs, input_shapes=input_shapes, trust=trust)
    with blamed(graph, runner):
        return Analysis.of(sized(graph, runner, input_shapes), runner)


def compress(
    source: Source,
    *,
    target: str | Target | None = None,
    data: Data | None = None,
    samples: int | None = None,
    labels: str | None = None,
    metric: str | Metric | None = None,
    config: str | Path | None = None,
    example_inputs: Any = None,
    progress: Progress | None = None,
    **options: Any,
) -> CompressResult:
    """Make a model smaller: to ``target``, or fail; or as small as a loss of ``max_drop`` allows.

    ``source`` is a file, a model in memory, or one of another framework, such as a ``torch.nn.Module``, a Keras model,
    a scikit-learn estimator or a JAX function, which is exported first; ``example_inputs`` are what it is called with,
    where that needs an example: one tensor or array, a tuple, or a dict by name.
    ``data`` is calibration data as in :func:`optimise_onnx.frontends.calibration.calibration`, of which ``samples`` are
    used (all by default); without it channels are ranked by weights alone. ``labels`` names an array in ``data``, and
    ``metric`` a function (see :func:`optimise_onnx.frontends.scripts.metric`), for the report only. Models are compared
    on up to 1024 samples that come after those used; where none do, a fifth is kept apart for that. ``config`` is a
    recipe file, or the name of one that ships (docs/recipes.md): what is given here goes before what it says.
    ``progress`` is told what is done and which share of all is; where it is left out, notebooks show a bar.

    Raises InvalidModelError, CalibrationError, UsageError, TargetNotMetError, UnsupportedOpError, VerificationError.
    """
    call = {"target": target, "data": data, "samples": samples, "labels": labels, "metric": metric}
    told = merged(config, call, options)
    data, samples, labels, metric = (told.pop(name, None) for name in ("data", "samples", "labels", "metric"))
    settings = Settings.parse(told.pop("target", None), **told)
    with Terminal().followed(progress) as told_of:
        return compress_with(source, settings, data, samples, labels, metric, told_of, example_inputs)


compress.__doc__ = f"{compress.__doc__}\n    Options, as of the command:\n\n{documented(Settings)}\n"


def compress_with(
    source: Source,
    settings: Settings,
    data: Data | None = None,
    samples: int | None = None,
    labels: str | None = None,
    metric: str | Metric | None = None,
    progress: Progress = silent,
    example_inputs: Any = None,
) -> CompressResult:
    """Do what :func:`compress` does, with its options gathered in ``settings``."""
    given = gathered(source, settings, data, samples, labels, metric, example_inputs)
    settings = settings if settings.tape else replace(settings, tape=Tape())
    with blamed(given.graph, OrtRunner()):
        found = compress_graph(given.graph, settings, given.used, given.measured, given.metric, progress)
    assert settings.tape is not None
    request = Request.of(source, settings, data, samples, labels, metric)
    return found.noted(Made.of(request, given.graph, given.used, found.graph, settings.tape.answers))


def gathered(
    source: Source,
    settings: Settings,
    data: Data | None = None,
    samples: int | None = None,
    labels: str | None = None,
    metric: str | Metric | None = None,
    example_inputs: Any = None,
) -> Gathered:
    """Read a model and its samples. Raises InvalidModelError, CalibrationError, UsageError."""
    _check_fit_samples(settings, data)
    if data is None:
        _check_without(settings, bool(labels or metric or samples is not None))
    graph = load(source, example_inputs=example_inputs, input_shapes=settings.input_shapes, trust=settings.trust)
    if settings.quantise:
        check_float(graph)
    most = _MEASURED if settings.max_drop is None else _DECIDING
    used, measured = (None, None) if data is None else _split(data, graph, settings, samples, labels, most)
    scored = metric_function(metric) if isinstance(metric, str) else metric or (accuracy(labels) if labels else None)
    return Gathered(graph, used, measured, scored)


def _check_fit_samples(running: Running, data: Data | None) -> None:
    """Raise UsageError where some of the samples are to be fitted, and there are none."""
    if data is None and running.fit_samples is not None:
        raise UsageError("fit_samples are some of the samples, so they need data", hint="give --data")


def _check_without(settings: Settings, sampled: bool) -> None:
    """Raise UsageError for what means nothing without data; ``sampled``: samples, labels or a metric were given."""
    needs = {
        "samples, labels and metric need data": sampled,
        "forms are fitted to what layers read, so they need data": bool(settings.forms),
        "weights are tuned on samples, so tuning needs data": settings.tune not in (None, NONE),
        "scales of activations come from samples, so quantising needs data": bool(settings.quantise),
        "what may be lost is measured on samples, so max_drop needs data": settings.max_drop is not None,
    }
    for said, wanted in needs.items():
        if wanted:
            raise UsageError(said, hint="give --data")


def compress_graph(
    graph: Graph,
    settings: Settings,
    used: Calibration | None,
    measured: evaluation.Samples | None,
    metric: Metric | None = None,
    progress: Progress = silent,
) -> CompressResult:
    """Compress with the samples in ``used`` and compare on those in ``measured``, or on random inputs."""
    with working(settings) as workers:
        begun = begin(graph, settings, used, measured, metric, progress, workers)
        if settings.max_drop is not None:
            return least_cost(begun, settings)
        result = begun.compressed(settings.target)
    if result.missed is not None and not settings.allow_partial:
        raise result.missed
    return result


def run_pipeline(
    source: Source,
    manager: PassManager,
    data: Data | None = None,
    samples: int | None = None,
    verify: bool = True,
    resume: Path | None = None,
    progress: Progress = silent,
    labels: str | None = None,
    **options: Any,
) -> Executed:
    """Run passes on a copy of the model and load the result in onnxruntime once. Raises what the passes raise.

    ``labels`` names an array in ``data`` that is left aside. ``resume`` is a folder in which the state is kept after
    every pass: the same call goes on from there. ``options`` are those of :class:`.settings.Running`.
    """
    running = Running.of(**options)
    manager.check_carried_out(() if resume is None else given_facts(resume))
    runner = OrtRunner(len(cores()))
    original = load(source, input_shapes=running.input_shapes, trust=running.trust)
    _check_fit_samples(running, data)
    used = None if data is None else _fitted(data, original, running, samples, labels)
    with blamed(original, runner):
        original = sized(original, runner, running.input_shapes, used)
        with working(running) as workers:
            executed = execute(original, manager, running, used, runner, progress, verify, resume, workers)
    runner.deployed(executed.graph)
    return executed


def _split(
    data: Data, graph: Graph, running: Running, samples: int | None, labels: str | None, most: int = _MEASURED
) -> tuple[Calibration, evaluation.Samples | None]:
    """Return the samples to calibrate with and those to measure on, labels with them.

    What passes see measures nothing: where no others are left, a share is kept apart; None where that cannot be.
    """
    limit = None if samples is None else samples + max(most, batch_size(graph, 1))
    read = _calibration(data, graph, running, limit, {labels} if labels else set())
    step = read.step
    for name, count in (("samples", samples), ("fit_samples", running.fit_samples)):
        if count is not None and count < step:
            raise UsageError(f"{name}={count} is too few", hint=f"the model takes {step} at a time")
    used = read if samples is None or samples >= read.samples else read.head(samples)
    if used.samples == read.samples:
        used = read.head(read.samples - _apart(read.samples, step))
    rest = read.tail(used.samples)
    measured = evaluation.from_data(graph, rest, "samples that no pass has seen") if rest.samples else None
    return used.only(t.name for t in graph.inputs), measured


def _fitted(data: Data, graph: Graph, running: Running, samples: int | None, labels: str | None) -> Calibration:
    """Return the samples that passes see: those asked for, or as many as a compression would use."""
    if samples is None:
        return _split(data, graph, running, None, labels)[0]
    read = _calibration(data, graph, running, samples, {labels} if labels else set())
    return read.only(t.name for t in graph.inputs)


def _calibration(
    data: Data, graph: Graph, running: Running, samples: int | None, extra: Collection[str] = ()
) -> Calibration:
    """Read samples, and say in their notes where they look as if they were prepared wrongly."""
    found = calibration(data, graph, samples=samples, extra=extra, preprocess=running.preprocess, inputs=running.inputs)
    return replace(found, notes=(*found.notes, *doubts(graph, OrtRunner(), found)))


def _apart(samples: int, step: int) -> int:
    """Return how many samples to keep apart: a fifth, of whole batches, and one batch at least where there are two."""
    wanted = min(samples // _KEPT_APART, _MEASURED)
    return max(wanted - wanted % step, step) if samples >= 2 * step else 0
