"""A front as a picture: the share of the cost that is left against what is lost."""

from __future__ import annotations

from collections.abc import Mapping

from .front import Front, judged
from .pages.charts import AFTER, INK, LIGHT, MARK, plotted
from .pages.charts import drawn as written
from .pages.charts import figure as empty

POINT = "point"
_NAME = "What is lost against the share of the cost that is left"


def drawn(front: Front, colours: Mapping[str, str] | None = LIGHT) -> str:
    """Draw all points with a known loss, bars at their intervals, the original, and the knee."""
    return plotted(_drawn, front, colours)


def _drawn(front: Front, colours: Mapping[str, str] | None) -> str:
    points, knee, marked = [(1.0, 0.0)], front.knee, None
    made, axes = empty(3.2)
    for place, point in enumerate(front.points):
        if point.report is None or point.share is None:
            continue
        _, loss, interval = judged(point.report.fidelity)
        if loss is None:
            continue
        points.append((point.share, loss))
        marked = points[-1] if place == knee else marked
        if interval is not None:
            axes.plot([point.share] * 2, interval, color=AFTER, alpha=0.4)
    axes.plot(*zip(*sorted(points), strict=True), "o-", color=AFTER, markersize=5)
    if marked is not None:
        axes.plot(*marked, "o", color=MARK, markersize=12, fillstyle="none")
        axes.annotate(f"knee, {marked[0]:.2f}", marked, (6, 8), textcoords="offset points", color=MARK, ha="left")
    axes.annotate("original", (1.0, 0.0), (-4, 8), textcoords="offset points", color=INK, ha="right")
    axes.set_xlim(0, 1.03)
    axes.set_xlabel(f"{front.quantity.name}, of the original's")
    axes.set_ylabel(f"lost: {front.judged_by or 'unknown'}")
    return written(made, _NAME, colours)
