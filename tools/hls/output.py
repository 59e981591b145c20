"""What a hand-over prints."""

from __future__ import annotations

from rich import box
from rich.console import JustifyMethod

from ..table import Rows
from ..terminal import Terminal
from . import sections
from .handover import HlsResult
from .sections import Section


def show(out: Terminal, found: HlsResult, before: str) -> None:
    """Print the tables, and what a person should know about them."""
    report = found.report
    _say(out, sections.layers(report))
    _say(out, sections.totals(report))
    if report.comparison is not None:
        _say(out, sections.comparison(report.comparison, before, report.source))
    if report.hardware is not None:
        _say(out, sections.hardware(report.hardware))
        out.say(sections.cycles(report.hardware))
    _say(out, sections.checks(report))
    for note in report.notes:
        out.say(f"note: {note}")
    out.say(f"wrote {found.folder}")


def _say(out: Terminal, section: Section) -> None:
    table = Rows(box=box.SIMPLE_HEAD, pad_edge=False)
    for place, column in enumerate(section.columns):
        justify: JustifyMethod = "left" if place < section.texts else "right"
        table.add_column(column, justify=justify, no_wrap=place == 0)  # a long name is cut; report.md has all of it
    for row in section.rows:
        table.add_row(*row)
    out.say(section.title)
    out.say(table)
