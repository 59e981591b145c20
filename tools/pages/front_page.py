"""The page of a front: what every target costs and keeps, and which layers pay."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..front import Front, judged
from ..front_svg import drawn
from . import charts
from .page import Picture, written

_ORIGINAL = "original"


def front_page(
    front: Front, model: str, columns: Sequence[str], rows: Sequence[Sequence[str]], notes: Sequence[str], lost: str
) -> str:
    """Write the front of a ``model`` as HTML; ``rows`` hold a text for each of ``columns``, for each point.

    ``lost``: at the knee.
    """
    told = [judged(point.report.fidelity)[2] for point in front.carried if point.report is not None]
    said = f"What each point keeps of the {front.quantity.name}, against what it loses"
    said += "; bars: where that may lie" if any(told) else ""
    return written(
        "front.html",
        title=f"{model}: {len(front.points)} targets of {front.quantity.name}",
        sentence=_sentence(front, lost),
        front=Picture("What is lost for what is saved", said, drawn(front, colours=None)),
        widths=_widths(front),
        columns=[column or "note" for column in columns],
        rows=rows,
        notes=notes,
        files=[point.file for point in front.points if point.file],
    )


def _sentence(front: Front, lost: str) -> str:
    """Say which point a person should look at first."""
    if not front.carried:
        return "None of the targets was met."
    said = f"{len(front.carried)} of {len(front.points)} targets have a model."
    if front.knee is None:
        return f"{said} The curve has no knee: pick the least loss that you can afford."
    point = front.points[front.knee]
    paid = f" and a loss of {lost} ({front.judged_by})" if lost else ""
    bend = f"The curve bends at {point.target}, with {point.share:.2f} of the original's cost{paid}"
    return f"{said} {bend}: below it, savings cost more on the whole."


def _widths(front: Front) -> Picture | None:
    """Draw which share of its channels every layer keeps, for each target."""
    known = {str(point.target): point.report.layers for point in front.carried if point.report is not None}
    layers = [line.name for line in next(iter(known.values()), ()) if line.width[0]]
    if not layers:
        return None
    kept = np.ones((len(known) + 1, len(layers)))
    for row, lines in enumerate(known.values(), 1):
        left = {line.name: line.width for line in lines}
        kept[row] = [left[name][1] / left[name][0] for name in layers]
    names = [_ORIGINAL, *known]
    svg = charts.plotted(charts.shares, "Share of its channels that each layer keeps, by target", names, kept)
    told = "Each cell is a layer at a target: the stronger its colour, the more channels it keeps"
    return Picture("Which layers pay", told, svg)
