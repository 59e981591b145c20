"""What a compression leaves: the table on the terminal, the model and the report in files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..ir.graph import Graph
from . import table
from .external import model_files
from .files import write
from .report import Report, notes
from .report_files import as_json, report_files
from .result import CompressResult
from .terminal import NORMAL, VERBOSE, Terminal

_DECIDES = ("meet-target", "search")  # passes whose notes say how the result came to be
Figures = Mapping[Path | None, dict[str, Any]] | None


def show(out: Terminal, report: Report) -> None:
    """Print the table and what a person should know about it."""
    if report.calibration == 0:
        out.say(
            "data-free mode: without --data channels are ranked by their weights, and no layer is fitted to samples; "
            "good for mild targets only"
        )
    out.say(table.before_after(report))
    if report.stages:
        out.say(table.stages(report))
    if report.fidelity.samples.judges:
        out.say(f"agreement measured on {report.fidelity.samples.origin}")
    for line in report.notes:
        out.say(line)
    for record in report.records:
        for line in notes([record]):
            out.say(line, NORMAL if record.name in _DECIDES else VERBOSE)
    if report.pins and out.verbosity >= VERBOSE:
        out.say(table.pins(report.pins))
    elif report.pins:
        out.say(f"some channels have to stay ({len(report.pins)} pinned); analyse lists the reasons")


def save(
    out: Terminal, made: Graph | CompressResult, output: Path | None, *reports: Path | None, values: Figures = None
) -> None:
    """Write a model, the reports of a compression, and ``values`` as JSON files, where asked for: all of it, or none.

    Raises UsageError when a file cannot be written.
    """
    if output is None:
        out.say("dry run: nothing was written")
        return
    files = model_files(made if isinstance(made, Graph) else made.graph, output)
    for report in filter(None, reports):
        if isinstance(made, CompressResult):
            files |= report_files(made, report, output)
    files |= {path: [as_json(each)] for path, each in (values or {}).items() if path is not None}
    write(files)
    *names, last = map(str, files)
    out.say(f"wrote {', '.join(names)} and {last}" if names else f"wrote {last}")


def write_json(out: Terminal, path: Path | None, values: dict[str, Any]) -> None:
    """Write indented JSON where it is asked for, and say so. Raises UsageError when the file cannot be written."""
    if path is None:
        return
    write({path: [as_json(values)]})
    out.say(f"wrote {path}")
