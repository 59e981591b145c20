"""What a compression leaves: the table on the terminal, the model and the report in files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from . import table
from .api import CompressResult
from .files import write
from .report import Report, notes
from .terminal import VERBOSE, Terminal


def show(out: Terminal, report: Report) -> None:
    """Print the table and what a person should know about it."""
    if report.calibration == 0:
        out.say(
            "data-free mode: without --data channels are ranked by their weights, and no layer is fitted to samples"
        )
    out.say(table.before_after(report))
    out.say(f"agreement measured on {report.fidelity.samples.origin}")
    for line in report.notes:
        out.say(line)
    for line in notes(report.records):
        out.say(line, VERBOSE)
    if report.pins and out.verbosity >= VERBOSE:
        out.say(table.pins(report.pins))
    elif report.pins:
        out.say(f"some channels have to stay ({len(report.pins)} pinned); analyse lists the reasons")


def save(out: Terminal, result: CompressResult, output: Path | None, report: Path | None) -> None:
    """Write the model, and the report when asked, or nothing. Raises UsageError when a file cannot be written."""
    if output is None:
        out.say("dry run: nothing was written")
        return
    write(output, result.model.SerializeToString(deterministic=True))
    if report is not None:
        write_json(report, result.report.to_json())
    out.say(f"wrote {output}" + (f" and {report}" if report else ""))


def write_json(path: Path, values: dict[str, Any]) -> None:
    """Write indented JSON. Raises UsageError when the file cannot be written."""
    write(path, (json.dumps(values, indent=2) + "\n").encode())
