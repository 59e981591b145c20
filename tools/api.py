"""The commands as Python functions."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import onnx

from ..backends.ort import OrtRunner
from ..frontends import load as frontend
from ..frontends.calibration import Data, calibration
from ..frontends.given import Given
from ..frontends.scripts import metric as metric_function
from ..ir.errors import TargetNotMetError, UsageError
from ..ir.feeds import Calibration, batch_size
from ..ir.graph import Graph
from ..passes.analysis.channels.protected import held_tensors
from ..passes.analysis.costs.target import Target
from ..passes.base import silent
from ..passes.checkpoint import given_facts
from ..passes.manager import PassManager
from ..passes.observers import Record
from ..passes.reconstruct.tune import NONE
from . import evaluation
from .agreement import check_finite
from .analysis import Analysis
from .blame import blamed
from .compression import Executed, Progress, execute
from .doubts import doubts
from .measure import Metric, accuracy
from .outcome import missed, report
from .recipes import pipeline
from .report import Report
from .settings import Running, Settings, documented
from .sizing import InputShapes, shapes, sized
from .stages import check_float, stages, with_codes

Source = str | Path | bytes | onnx.ModelProto | Graph | Any
"""A file, bytes, a model in memory, or one of another framework: a module, an estimator, a function."""

_MEASURED = 1024
_KEPT_APART = 5


@dataclass(frozen=True)
class CompressResult:
    """The smaller ``model``, the figures before and after, and what each pass did.

    ``missed`` says how the target was not met, where less than that was allowed.
    """

    graph: Graph
    report: Report
    records: tuple[Record, ...]
    missed: TargetNotMetError | None = None

    @cached_property
    def model(self) -> onnx.ModelProto:
        """The smaller model, with all its weights in memory."""
        return self.graph.to_model()

    def to_torch(self, module: Any) -> Any:
        """Return a copy of the ``torch.nn.Module`` that the model was exported from, with the new widths and weights.

        It computes what the compressed model does, which is checked on random inputs, and can be trained on. Raises
        LoweringError, with a list of the layers that do not map, where it cannot.
        """
        from .widths import to_torch

        return to_torch(self.model, module)


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
    target: str | Target,
    data: Data | None = None,
    samples: int | None = None,
    labels: str | None = None,
    metric: str | Metric | None = None,
    example_inputs: Any = None,
    progress: Progress = silent,
    **options: Any,
) -> CompressResult:
    """Make a model smaller: to ``target``, or fail.

    ``source`` is a file, a model in memory, or one of another framework, such as a ``torch.nn.Module``, a Keras model,
    a scikit-learn estimator or a JAX function, which is exported first; ``example_inputs`` are what it is called with,
    where that needs an example: one tensor or array, a tuple, or a dict by name.
    ``data`` is calibration data as in :func:`optimise_onnx.frontends.calibration.calibration`, of which ``samples`` are
    used (all by default); without it channels are ranked by weights alone. ``labels`` names an array in ``data``, and
    ``metric`` a function (see :func:`optimise_onnx.frontends.scripts.metric`), for the report only. Models are compared
    on up to 1024 samples that come after those used; where none do, a fifth is kept apart for that.

    Raises InvalidModelError, CalibrationError, UsageError, TargetNotMetError, UnsupportedOpError, VerificationError.
    """
    settings = Settings.parse(target, **options)
    return compress_with(source, settings, data, samples, labels, metric, progress, example_inputs)


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
    if data is None and (labels or metric or samples is not None):
        raise UsageError("samples, labels and metric need data", hint="give --data")
    if data is None and settings.forms:
        raise UsageError("forms are fitted to what layers read, so they need data", hint="give --data")
    if data is None and settings.tune not in (None, NONE):
        raise UsageError("weights are tuned on samples, so tuning needs data", hint="give --data")
    if data is None and settings.quantise:
        raise UsageError("scales of activations come from samples, so quantising needs data", hint="give --data")
    graph = load(source, example_inputs=example_inputs, input_shapes=settings.input_shapes, trust=settings.trust)
    if settings.quantise:
        check_float(graph)
    used, measured = (None, None) if data is None else _split(data, graph, settings, samples, labels)
    scored = metric_function(metric) if isinstance(metric, str) else metric or (accuracy(labels) if labels else None)
    with blamed(graph, OrtRunner()):
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
    for pattern in settings.keep_nodes:
        held_tensors(graph, pattern, "")  # refuses one that means nothing, which the others would hide
    runner = OrtRunner()
    graph = sized(graph, runner, settings.input_shapes, used)
    session = runner.session(graph)
    samples = measured or replace(evaluation.at_random(graph, session, settings.seed), judges=used is None)
    for name, values in session.run(evaluation.first(graph, samples)).items():
        check_finite(name, values)
    executed = execute(graph, PassManager.parse(pipeline(settings)), settings, used, runner, progress)
    pruned, alone = executed.graph, None
    if settings.quantise and used is not None:
        progress("quantising", 0.0)
        executed, alone = with_codes(graph, executed, runner, used)
    progress("measuring", 0.0)
    found = report(graph, executed, settings, runner, used, samples, metric if samples.judges else None)
    if alone is not None:
        found = replace(found, stages=stages(graph, pruned, alone, found, runner, samples))
    problem = missed(settings, found)
    if problem is not None and not settings.allow_partial:
        raise problem
    return CompressResult(executed.graph, found, executed.records, problem)


def run_pipeline(
    source: Source,
    manager: PassManager,
    data: Data | None = None,
    samples: int | None = None,
    verify: bool = True,
    resume: Path | None = None,
    progress: Progress = silent,
    **options: Any,
) -> Executed:
    """Run passes on a copy of the model and load the result in onnxruntime once. Raises what the passes raise.

    ``resume`` is a folder in which the state is kept after every pass: the same call goes on from there. ``options``
    are those of :class:`.settings.Running`.
    """
    running = Running.of(**options)
    manager.check_carried_out(() if resume is None else given_facts(resume))
    runner = OrtRunner()
    original = load(source, input_shapes=running.input_shapes, trust=running.trust)
    used = None if data is None else _fitted(data, original, running, samples)
    with blamed(original, runner):
        original = sized(original, runner, running.input_shapes, used)
        executed = execute(original, manager, running, used, runner, progress, verify, resume)
    runner.session(executed.graph)
    return executed


def _split(
    data: Data, graph: Graph, running: Running, samples: int | None, labels: str | None
) -> tuple[Calibration, evaluation.Samples | None]:
    """Return the samples to calibrate with and those to measure on, labels with them.

    What passes see measures nothing: where no others are left, a share is kept apart; None where that cannot be.
    """
    limit = None if samples is None else samples + max(_MEASURED, batch_size(graph, 1))
    read = _calibration(data, graph, running, limit, {labels} if labels else set())
    step = read.step
    if samples is not None and samples < step:
        raise UsageError(f"samples={samples} is too few", hint=f"the model takes {step} at a time")
    used = read if samples is None or samples >= read.samples else read.head(samples)
    if used.samples == read.samples:
        used = read.head(read.samples - _apart(read.samples, step))
    rest = read.tail(used.samples)
    measured = evaluation.from_data(graph, rest, "samples that no pass has seen") if rest.samples else None
    return used.only(t.name for t in graph.inputs), measured


def _fitted(data: Data, graph: Graph, running: Running, samples: int | None) -> Calibration:
    """Return the samples that passes see: those asked for, or as many as a compression would use."""
    if samples is None:
        return _split(data, graph, running, None, None)[0]
    return _calibration(data, graph, running, samples)


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
