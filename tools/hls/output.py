"""What a hand-over prints."""

from __future__ import annotations

import re

from rich import box
from rich.console import JustifyMethod

from ..table import Rows
from ..terminal import Terminal
from . import sections
from .handover import HlsResult
from .sections import Section

_LONG = re.compile(r"[^\s']{25,}")
_BEGIN, _END = 8, 15
_GAP = 3


def show(out: Terminal, found: HlsResult, before: str) -> None:
    """Print the tables, and what a person should know about them."""
    report = found.report
    _say(out, sections.layers(report))
    _say(out, sections.totals(report))
    if report.comparison is not None:
        _say(out, sections.comparison(report.comparison, before, report.source))
    if report.front:
        _say(out, sections.front(report.front, before))
    if report.hardware is not None:
        _say(out, sections.hardware(report.hardware))
        out.say(sections.cycles(report.hardware))
    _say(out, sections.checks(report))
    for note in report.notes:
        out.say(f"note: {note}")
    out.say(f"wrote {found.folder}")


def _say(out: Terminal, section: Section) -> None:
    """Print a table; where it is too wide the texts go, such as the strategy, but no name and no figure."""
    rows = [[_short(cell) for cell in row] for row in section.rows]
    widths = [
        max(_word(section.columns[place]), *map(len if place == 0 or place >= section.texts else _word, column))
        for place, column in enumerate(zip(*rows, strict=True))
    ]
    fits = sum(widths) + _GAP * len(widths) <= out.width
    shown = [place for place in range(len(widths)) if fits or place == 0 or place >= section.texts]
    table = Rows(box=box.SIMPLE_HEAD, pad_edge=False)
    for place in shown:
        justify: JustifyMethod = "left" if place < section.texts else "right"
        table.add_column(section.columns[place], justify=justify, min_width=widths[place])
    for row in rows:
        table.add_row(*(row[place] for place in shown))
    out.say(section.title)
    out.say(table)


def _word(text: str) -> int:
    """Return the length of the longest word, which a column has to hold."""
    return max(map(len, text.split()), default=0)


def _short(text: str) -> str:
    """Cut names of over 24 characters in the middle, where exporters repeat themselves; report.md has all of them."""
    return _LONG.sub(lambda found: f"{found[0][:_BEGIN]}…{found[0][-_END:]}", text)
