"""What a sweep leaves: a model for each target, written as soon as it is there, and in the end the front of all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from rich.table import Table

from ..ir.errors import TargetNotMetError
from ..ir.quantity import scaled
from ..passes.analysis.costs.target import Target
from .external import model_files
from .files import write
from .front import Front, Point, judged
from .front_svg import drawn
from .report import Report
from .report_files import as_json
from .table import percent, plain, share, spread
from .terminal import Terminal

FRONT_JSON, FRONT_SVG, FRONT_HTML = "front.json", "front.svg", "front.html"
_COLUMNS = ("target", "of it left", "lost", "of the latency here", "MACs", "parameters", "")


def names(source: str | Path, targets: Sequence[Target]) -> list[str]:
    """Name the models: ``IN-macs-0.50x.onnx``."""
    return [f"{Path(source).stem}-{target.quantity.name}-{_amount(target)}.onnx" for target in targets]


def keep(point: Point, path: Path) -> Point:
    """Write a point's model, where it has one, and let the graph go. Raises UsageError."""
    if point.graph is None:
        return point
    write(model_files(point.graph, path))
    return replace(point, graph=None, file=path.name)


def finish(out: Terminal, front: Front, model: str, folder: Path, json_file: Path | None = None) -> None:
    """Write the front of a ``model``, its JSON to ``json_file`` too, and show it.

    Raises TargetNotMetError where no target was met, UsageError.
    """
    files = {
        FRONT_JSON: as_json(front.to_json()),
        FRONT_SVG: drawn(front).encode(),
        FRONT_HTML: page(front, model).encode(),
    }
    more = {json_file: [files[FRONT_JSON]]} if json_file else {}
    write({folder / name: [content] for name, content in files.items()} | more)
    out.say(table(front))
    for line in _said(front):
        out.say(line)
    count = len(front.carried)
    out.say(
        f"wrote {count} {'model' if count == 1 else 'models'}, {FRONT_HTML}, {FRONT_JSON} and {FRONT_SVG} to {folder}"
    )
    missed = [point for point in front.points if point.why]
    if len(missed) == len(front.points):
        raise TargetNotMetError("none of the targets was met", why=missed[-1].why)


def table(front: Front) -> Table:
    """Show a line for every target."""
    return plain(_COLUMNS, _rows(front))


def page(front: Front, model: str) -> str:
    """Write the front of a model as one HTML file that loads nothing."""
    from .pages.front_page import front_page

    knee = front.points[front.knee].report if front.knee is not None else None
    return front_page(front, model, _COLUMNS, _rows(front), list(_said(front)), lost(knee) if knee else "")


def _rows(front: Front) -> list[list[str]]:
    return [_row(point, place == front.knee) for place, point in enumerate(front.points)]


def _row(point: Point, knee: bool) -> list[str]:
    if point.report is None:
        return [str(point.target), *[""] * (len(_COLUMNS) - 2), "not met"]
    found = point.report
    marks = ", ".join(filter(None, ("knee" if knee else "", "not met" if point.why else "")))
    costs = scaled(found.after.macs), scaled(found.after.parameters)
    left = share(found.aim.after, found.aim.before)
    return [str(point.target), left, lost(found), spread(found.latency), *map(str.strip, costs), marks]


def lost(found: Report) -> str:
    """Say what a point has lost, with its interval where one is known; nothing where that is not known."""
    name, loss, interval = judged(found.fidelity)
    if loss is None:
        return ""
    if name.startswith("relative error"):
        return f"{loss:.3g}"
    return percent(loss) + (f" ({100 * interval[0]:.1f} to {100 * interval[1]:.1f} %)" if interval else "")


def _said(front: Front) -> Iterator[str]:
    """Yield what stands below the table."""
    first = next((point.report for point in front.carried), None)
    if first is not None and front.judged_by:
        yield f"lost: {front.judged_by}, on {first.fidelity.samples.origin}"
    yield from () if first is None else first.notes
    if kept := [str(point.target) for point in front.points if point.kept]:
        yield f"carried out by an earlier run and kept in the cache: {', '.join(kept)}"
    for point in front.points:
        if point.why:
            yield f"{point.target}: {point.why}"


def _amount(target: Target) -> str:
    if not target.relative:
        return target.quantity.written(target.amount)
    return f"{target.amount:.2f}x" if round(target.amount, 2) == target.amount else f"{target.amount:.15g}x"
