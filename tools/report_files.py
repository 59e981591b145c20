"""The files of a report: JSON for programs and replays, and a page for people."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..ir.errors import UsageError
from ..ir.writing import Chunks

if TYPE_CHECKING:
    from .result import CompressResult

_PAGES = {".html", ".htm"}


def places(report: Path | None) -> list[Path]:
    """Return where a report goes: a page has its JSON beside it."""
    if report is None:
        return []
    return [report, report.with_suffix(".json")] if report.suffix.lower() in _PAGES else [report]


def check_report(report: Path | None) -> None:
    """Raise UsageError for a name that says neither page nor JSON."""
    if report is not None and report.suffix.lower() not in (*_PAGES, ".json"):
        raise UsageError(f"'{report}' says neither a page nor JSON", hint="name it .html or .json")


def report_files(found: CompressResult, report: Path, output: Path) -> dict[Path, Chunks]:
    """Return what to write for a report of the model at ``output``. A page times both models layer by layer."""
    *pages, figures = places(report)
    files: dict[Path, Chunks] = {figures: [as_json(found.report.to_json())]}
    for page in pages:
        files[page] = [
            found.page(output.name, shlex.join(["optimise-onnx", "replay", str(figures), "-o", str(output)])).encode()
        ]
    return files


def as_json(values: dict[str, Any]) -> bytes:
    """Write indented JSON."""
    return (json.dumps(values, indent=2) + "\n").encode()
