"""What several targets leave: cost against loss, with the knee of the curve."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..ir.graph import Graph
from ..ir.quantity import Quantity
from ..passes.analysis.costs.target import Target
from .measure import Fidelity
from .report import Report


@dataclass(frozen=True)
class Point:
    """One target: the model and its report, or ``why`` it was missed, or both; ``file`` is where the model was written.

    ``graph`` is None too where it was written and let go; ``kept``: an earlier run had carried it out.
    """

    target: Target
    report: Report | None = None
    graph: Graph | None = None
    why: str = ""
    file: str = ""
    kept: bool = False

    @property
    def share(self) -> float | None:
        """The cost by the original's."""
        return None if self.report is None else self.report.aim.after / self.report.aim.before

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        told = {"target": str(self.target), "met": not self.why, "why": self.why or None, "file": self.file or None}
        if self.report is None:
            return told
        found, (_, loss, interval) = self.report, judged(self.report.fidelity)
        return told | {
            "cost": found.aim.after,
            "share": self.share,
            "loss": loss,
            "loss_interval": interval,
            "metric": {name: {"before": was, "after": now} for name, (was, now) in found.fidelity.metric.items()},
            "macs": found.after.macs,
            "parameters": found.after.parameters,
            "bytes": found.after.bytes,
            "latency_ratio": list(found.latency.ratio),
        }


@dataclass(frozen=True)
class Front:
    """Points in the order of their targets, all of one ``quantity``."""

    quantity: Quantity
    points: tuple[Point, ...]

    @property
    def carried(self) -> list[Point]:
        """The points that left a model."""
        return [point for point in self.points if point.report is not None]

    @property
    def knee(self) -> int | None:
        """The number of the point at the knee; None where the curve has none, or nothing is known of losses."""
        told = [place for place, point in enumerate(self.points) if _known(point) is not None]
        if len(told) < 2:
            return None
        curve = [one for place in told if (one := _known(self.points[place])) is not None]
        found = knee([1.0, *(x for x, _ in curve)], [0.0, *(y for _, y in curve)])
        return None if found is None or found == 0 else told[found - 1]

    @property
    def judged_by(self) -> str:
        """What losses are of; empty where nothing is known."""
        return next((judged(p.report.fidelity)[0] for p in self.carried if p.report is not None), "")

    def to_json(self) -> dict[str, Any]:
        """Return plain values for a JSON file (docs/sweep.md)."""
        first = next((point.report for point in self.carried), None)
        return {
            "quantity": self.quantity.name,
            "unit": self.quantity.unit,
            "original": None if first is None else first.aim.before,
            "judged_by": self.judged_by,
            "measured_on": "" if first is None else first.fidelity.samples.origin,
            "points": [point.to_json() for point in self.points],
            "knee": self.knee,
        }


def knee(cost: Sequence[float], loss: Sequence[float]) -> int | None:
    """Return which point of a falling curve lies farthest below the chord of its ends, None where none lies below.

    Both axes are scaled to 0 to 1 first (Satopaa, Albrecht, Irwin, Raghavan, "Finding a 'Kneedle' in a haystack",
    ICDCSW 2011, without its smoothing and threshold: fronts are short).
    """
    x, y = np.asarray(cost, np.float64), np.asarray(loss, np.float64)
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return None
    x, y = (x - x.min()) / np.ptp(x), (y - y.min()) / np.ptp(y)
    first, last = int(x.argmin()), int(x.argmax())
    chord = y[first] + (y[last] - y[first]) * x
    below = chord - y
    best = int(below.argmax())
    return best if below[best] > 1e-9 else None


def judged(fidelity: Fidelity) -> tuple[str, float | None, tuple[float, float] | None]:
    """Return what a loss is of, the loss, and its interval where one is known.

    By the metric what it fell; without, the share of samples whose class changed, else the relative error, of the
    output where it is largest.
    """
    for name, (was, now) in fidelity.metric.items():
        fell = fidelity.spread
        return name, was - now, None if fell is None else (fell.low, fell.high)
    same = {name: one for name, one in fidelity.told.items() if one.same is not None}
    if same:
        name, worst = min(same.items(), key=lambda pair: pair[1].same or 0.0)
        low, high = worst.interval or (0.0, 1.0)
        known = (1 - high, 1 - low) if fidelity.samples.held_out else None
        return f"agreement of '{name}'", 1 - (worst.same or 0.0), known
    errors = {name: one.error for name, one in fidelity.told.items() if one.error is not None}
    if not errors:
        return "", None, None
    name = max(errors, key=lambda one: errors[one])
    return f"relative error of '{name}'", errors[name], None


def _known(point: Point) -> tuple[float, float] | None:
    """Return cost and loss of a point, where both are known."""
    if point.report is None or point.share is None:
        return None
    loss = judged(point.report.fidelity)[1]
    return None if loss is None else (point.share, loss)
