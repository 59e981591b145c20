"""A compression done again from its report: the same bytes, or a word about what differs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..backends.ort import OrtRunner
from ..frontends.calibration import Data
from ..ir.errors import CalibrationError, InvalidModelError, ReportError, UsageError, VerificationError
from ..ir.graph import Graph
from ..passes.base import silent
from ..passes.hashing import calibration_digest, graph_digest
from .aiming import begin
from .api import Gathered, Source, gathered
from .blame import blamed
from .compression import Progress
from .made import versions
from .max_drop import least_cost
from .reading import read_report
from .settings import Settings
from .tape import Tape

_ONLY = "what `compress --report` writes does, but not the report of demo"
_MEMORY = "it was in memory when the report was made"


def replay(
    report: str | Path | Mapping[str, Any],
    *,
    source: Source | None = None,
    data: Data | None = None,
    other_versions: bool = False,
    progress: Progress = silent,
) -> Graph:
    """Make the model of a report, the JSON file or what it holds, again: the same, byte for byte.

    What devices answered is taken from the report: nothing is measured. ``source`` and ``data`` say where model and
    samples are, where that is not what the report names. Raises ReportError for what is no report, InvalidModelError
    for another model, CalibrationError for other samples, UsageError for other versions, unless ``other_versions``, and
    VerificationError where the result is another one.
    """
    made = _read(report)
    _check_versions(made["versions"], other_versions)
    request = made["request"]
    source = request["source"] if source is None else source
    if source is None:
        raise UsageError("the report does not say where the model is", why=_MEMORY, hint="give --model")
    data = request["data"] if data is None else data
    if data is None and made["samples"] is not None:
        raise UsageError("the report does not say where the samples are", why=_MEMORY, hint="give --data")
    settings = Settings.parse(**request["options"], tape=_tape(made["device"]))
    given = gathered(source, settings, data, request["samples"], request["labels"], request["metric"])
    _check_given(given, made)
    with blamed(given.graph, OrtRunner()):
        return _checked(_again(given, settings, progress), made["result"])


def _again(given: Gathered, settings: Settings, progress: Progress) -> Graph:
    """Run the passes; nothing is measured."""
    begun = begin(given.graph, settings, given.used, given.measured, given.metric, progress)
    if settings.max_drop is not None:
        return least_cost(begun, settings).graph
    return begun.carried_out(settings.target).executed.graph


def _read(report: str | Path | Mapping[str, Any]) -> Any:
    """Return what a report says of how it was made. Raises ReportError."""
    made = read_report(report).get("made")
    needed = {"request", "model", "samples", "result", "versions", "device"}
    if not isinstance(made, Mapping) or not needed <= made.keys():
        raise ReportError(
            "the report does not say how the model was made", why="'made' is missing or not whole", hint=_ONLY
        )
    return made


def _check_versions(made: Mapping[str, str], other: bool) -> None:
    here = versions()
    apart = [f"{name} {was}, here {here.get(name, 'none')}" for name, was in made.items() if here.get(name) != was]
    if apart and not other:
        hint = "install those, or give --other-versions and see whether the bytes are the same"
        raise UsageError("the report was made by other versions", why="; ".join(apart), hint=hint)


def _check_given(given: Gathered, made: Mapping[str, Any]) -> None:
    if graph_digest(given.graph) != made["model"]:
        raise InvalidModelError("this is not the model of the report", why="its contents differ", hint="give --model")
    seen = None if given.used is None else calibration_digest(given.used)
    if seen != made["samples"]:
        raise CalibrationError(
            "these are not the samples of the report", why="their numbers differ", hint="give --data"
        )


def _tape(device: list[dict[str, Any]]) -> Tape:
    return Tape([(each["asked"], each["answer"]) for each in device], told=True)


def _checked(graph: Graph, result: str) -> Graph:
    if graph_digest(graph) == result:
        return graph
    why = "the passes, or the machine's arithmetic, have changed since, or a limit of time was set"
    raise VerificationError("the replay gives other bytes than the report's", why=why)
