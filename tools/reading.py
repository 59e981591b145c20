"""Reports read back from their files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..ir.errors import ReportError
from .report import VERSION


def read_report(report: str | Path | Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a report holds, a file or what was read of it. Raises ReportError for what is none."""
    told = report if isinstance(report, Mapping) else _loaded(Path(report))
    if not isinstance(told, Mapping) or told.get("version") != VERSION:
        found = told.get("version") if isinstance(told, Mapping) else None
        why = f"its version is {found}, not {VERSION}" if found is not None else "it has no version"
        raise ReportError("this is no report of compress", why=why, hint="`compress --report out.json` writes one")
    return told


def _loaded(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ReportError(f"cannot read '{path}'", why=error.strerror or str(error)) from error
    except ValueError as error:
        raise ReportError(f"'{path}' is no JSON file", why=str(error)) from error
