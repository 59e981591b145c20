"""From a model to a hardware project that is proved, measured and reported."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from shutil import which
from typing import Unpack

import numpy as np

from ...backends.hls import project as projects
from ...backends.hls.configuration import Options as Built
from ...backends.hls.configuration import check
from ...backends.hls.cost.compare import Comparison
from ...backends.hls.cost.report import NetworkCost, cost
from ...backends.hls.emulator import Emulator
from ...backends.hls.lowering import without_quantisers
from ...backends.hls.network import Floats
from ...backends.hls.simulate import simulate
from ...backends.ort import OrtRunner
from ...frontends.calibration import Data
from ...frontends.formats import read
from ...ir import cost as counted
from ...ir.errors import UsageError
from ...ir.graph import Graph
from ...ir.shapes import input_sizes
from ...ir.verify import check_interface
from ...passes.base import silent
from .. import api
from ..compression import Progress
from ..sizing import InputShapes, sized
from ..terminal import Terminal
from . import samples as sampling
from .checks import Run, beyond_tables, check_bits, check_lowered, check_qonnx, measure, scores, trace
from .front import Point, front
from .hardware import hardware
from .layers import check as check_layers
from .layers import unmatched
from .models import Lowered, Typed, compared, lowered, typed
from .plots import plots
from .report import Checks, Report
from .sections import markdown
from .settings import Options, Settings

SOURCE, FIGURES, TEXT, VERILOG = "source.onnx", "report.json", "report.md", "rtl.v"

_MOST_SIMULATED, _FEWEST_SIMULATED = 64, 16
_SIMULATED_MACS = 4e8  # some 10 s of C simulation


@dataclass(frozen=True)
class HlsResult:
    """The project's folder and its report."""

    folder: Path
    report: Report


def hls(
    source: api.Source,
    project: str | Path,
    *,
    data: Data | None = None,
    samples: int | None = None,
    labels: str | None = None,
    before: api.Source | None = None,
    progress: Progress | None = None,
    input_shapes: InputShapes | None = None,
    preprocess: str | None = None,
    **options: Unpack[Options],
) -> HlsResult:
    """Write an hls4ml project of a model into the folder ``project``, proved and measured; or nothing.

    ``data`` as in :func:`optimise_onnx.compress`: types come from the first ``samples`` (256), the emulator is measured
    on the others; without it inputs are random. ``labels`` names an array in ``data``. ``before``: a model that this
    one was made from, to compare analytic costs with. ``input_shapes`` and ``preprocess`` as in
    :func:`optimise_onnx.compress`. More options: see :class:`Options`.

    Raises UsageError, InvalidModelError, CalibrationError, LoweringError, TargetNotMetError, VerificationError.
    """
    settings = Settings.parse(**options)
    with Terminal().followed(progress) as told:
        return hls_with(source, Path(project), settings, data, samples, labels, before, told, input_shapes, preprocess)


def hls_with(
    source: api.Source,
    folder: Path,
    settings: Settings,
    data: Data | None = None,
    samples: int | None = None,
    labels: str | None = None,
    before: api.Source | None = None,
    progress: Progress = silent,
    input_shapes: InputShapes | None = None,
    preprocess: str | None = None,
) -> HlsResult:
    """Do what :func:`hls` does, with its options gathered in ``settings``."""
    check_place(folder, [path for path in (source, before, data) if isinstance(path, str | Path)])
    _check_tools(settings)
    progress("reading", 0.0)
    runner = OrtRunner()
    loaded = api.load(source)
    taken = sampling.read(loaded, data, samples, labels, preprocess)
    graph = sized(loaded, runner, input_shapes, taken.used if taken else None)
    graph = without_quantisers(graph) if settings.recalibrate else graph
    model = lowered(source, graph, runner)
    check(model.network, Built(settings.backend, settings.io_of(model.network)))
    check_layers(model.network, settings.layers, settings.style(model.network))
    earlier = None if before is None else _earlier(before, graph, runner)
    if settings.front and (earlier is None or taken is None):
        raise UsageError("a front needs the model of before, and data", hint="give --compare and --data")
    given = taken or sampling.at_random(graph, settings.seed)
    job = _Job(model, typed(model, given, settings, progress), given, labels, settings, runner, progress)
    other = None
    if earlier is not None:
        other = compared(typed(earlier, given, settings, progress), job.typed, settings)
    report = _handed_over(job, source, folder, other, earlier)
    return HlsResult(folder, report)


def _earlier(source: api.Source, now: Graph, runner: OrtRunner) -> Lowered:
    """Read and lower the model that ``now`` was made from, at the same sizes of inputs."""
    graph = api.load(source)
    check_interface(now, graph)
    return lowered(source, sized(graph, runner, input_sizes(now, 1)), runner)


def check_place(folder: Path, inputs: Iterable[str | Path]) -> None:
    """Raise UsageError where a project cannot go into ``folder``: it holds something else, or one of the inputs."""
    projects.refuse_foreign(folder)
    if not folder.absolute().parent.is_dir():
        raise UsageError(f"the folder of '{folder}' does not exist")
    for path in inputs:
        if Path(path).resolve().is_relative_to(folder.resolve()):
            raise UsageError(f"'{path}' lies in '{folder}', which is written anew", hint="choose another folder")


def _check_tools(settings: Settings) -> None:
    projects.load_hls4ml()
    if settings.csim and which("g++") is None:
        raise UsageError("g++ is not installed", hint="install it, or leave the proof out with --no-csim")


@dataclass(frozen=True)
class _Job:
    """What every step of a hand-over needs."""

    model: Lowered
    typed: Typed
    samples: sampling.Samples
    labels: str | None
    settings: Settings
    runner: OrtRunner
    progress: Progress


def _handed_over(
    job: _Job, source: api.Source, folder: Path, comparison: Comparison | None, before: Lowered | None
) -> Report:
    """Write the project with all that belongs to it; where a proof fails, leave the folder as it was."""
    network, precision = job.typed.network, job.typed.precision
    options = job.settings.options(network)
    feeds, given = sampling.first(job.model.graph, network, job.samples.measured, _simulated(job.model.graph))
    run = scores(job.model.graph, job.runner)
    lowered_by = check_lowered(job.model.graph, job.model.network, feeds, run)
    job.progress("making hardware", 0.3)
    made_here = hardware(network, precision, given) if job.settings.rtl else None
    job.progress("writing the project", 0.4)
    analytic = cost(network, options.resolved(network), precision)
    with projects.staged(network, precision, options, folder, given) as made:
        checks = _checked(job, made, given, run, lowered_by)
        drawn = plots(job.model.network, precision, given, made.folder)
        report = Report(
            source=job.model.name,
            settings=job.settings,
            options=options,
            calibration=job.samples.used.samples,
            origin=job.samples.origin,
            network=network,
            precision=precision,
            cost=analytic,
            checks=checks,
            comparison=comparison,
            front=_front(job, before),
            hardware=made_here,
            notes=_notes(job, options, checks, analytic, drawn),
        )
        _write_files(report, made.folder, source, before.name if before else "")
    return report


def _front(job: _Job, before: Lowered | None) -> tuple[Point, ...]:
    if before is None or not job.settings.front:
        return ()
    return front(before, job.model, job.samples, job.settings, scores(before.graph, job.runner), job.progress)


def _checked(job: _Job, made: projects.Project, given: Floats, run: Run, lowered_by: float) -> Checks:
    network, precision = job.typed.network, job.typed.precision
    emulator = Emulator(network, precision)
    emulated = emulator.run(given)
    if job.settings.csim:
        job.progress("compiling and running the C simulation", 0.45)
        check_bits(precision, emulated, simulate(made, given))
    exchanged = check_qonnx(made.folder / projects.QONNX, network, precision, given, emulated, job.runner)
    measured = measure(
        job.model.graph, emulator, network, job.samples, run, job.labels,
        lambda share: job.progress("emulating", 0.7 + 0.25 * share),
    )  # fmt: skip
    traced = trace(job.model.network, network, precision, given)
    return Checks(len(given), lowered_by, len(given) if job.settings.csim else None, exchanged, measured, traced)


def _notes(job: _Job, options: Built, checks: Checks, analytic: NetworkCost, drawn: bool) -> tuple[str, ...]:
    """Say what a person should know besides the figures."""
    found = list(job.typed.network.notes)
    found += _budget(job.settings, analytic)
    if absent := unmatched(job.typed.network, job.settings.layers):
        found.append(f"no layer here is called {', '.join(absent)} as in the configuration")
    if job.samples.random:
        found.append("without --data ranges come from random inputs: give samples before you build")
    if job.settings.recalibrate:
        found.append("compared with the model without what quantises its values (--recalibrate)")
    if not job.settings.csim:
        found.append("nothing proves this project: the C simulation was not run (--no-csim)")
    worst = max(difference.relative_error for difference in checks.measured.outputs.values())
    if job.settings.bits is None and worst > job.settings.max_error:
        found.append(
            f"the error budget of {job.settings.max_error:g} was met on calibration samples; measured: {worst:.3g}"
        )
    if options.io_type == "io_parallel" and any(len(layer.shape) > 1 for layer in job.typed.network.layers):
        found.append("tier 1 counts streams; this project is io_parallel, so its intervals differ")
    if wrong := beyond_tables(job.typed.network, checks.traced):
        found.append(f"values leave the tables of {', '.join(wrong)}, whose results end there: scale what these read")
    if guessed := sorted(layer.name for layer in analytic.layers if not layer.covered):
        found.append(f"tools do not keep the intervals of the latency strategy with reuse: {', '.join(guessed)}")
    if not drawn:
        found.append("no plots: matplotlib is not installed (pip install 'optimise-onnx[hls]')")
    return tuple(found)


def _budget(settings: Settings, analytic: NetworkCost) -> list[str]:
    """Say where the budget of multipliers comes from."""
    if settings.reuse != "auto" or settings.multipliers is not None or settings.strategy == "distributed_arithmetic":
        return []
    said = f"at most {settings.budget:,} multipliers, the DSP blocks of {settings.part} (--part, --multipliers)"
    if analytic.multipliers <= settings.budget:
        return [said]
    return [f"{said}: too few, so the {analytic.multipliers:,} that it can be built with at the least"]


def _write_files(report: Report, folder: Path, source: api.Source, before: str) -> None:
    model = source.to_model() if isinstance(source, Graph) else read(source)  # with external data, if any
    (folder / SOURCE).write_bytes(model.SerializeToString(deterministic=True))
    (folder / FIGURES).write_text(json.dumps(report.to_json(), indent=2) + "\n", encoding="utf-8")
    (folder / TEXT).write_text(markdown(report, before), encoding="utf-8")
    if report.hardware is not None:
        (folder / VERILOG).write_text(report.hardware.verilog, encoding="utf-8")


def _simulated(graph: Graph) -> int:
    """Return how many samples to simulate: as many as take some seconds."""
    macs = counted.total(counted.cost(graph)).macs
    return int(np.clip(_SIMULATED_MACS // max(macs, 1), _FEWEST_SIMULATED, _MOST_SIMULATED))
