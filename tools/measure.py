"""How closely a rewritten model follows the original on the same samples, and a metric of both."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from ..frontends.scripts import guarded
from ..ir.errors import UsageError, VerificationError
from ..ir.feeds import Feeds
from ..ir.graph import Array
from ..ir.runner import Session
from .evaluation import Samples

Metric = Callable[[Mapping[str, Array], Mapping[str, Array]], float]


@dataclass
class Agreement:
    """One output: ``error`` is ‖after − before‖ / ‖before‖, over finite values; ``same`` the share of samples whose
    largest entry stays.

    Where the output is no float, ``same`` counts equal elements; it is None where neither says anything.
    """

    error: float = 0.0
    same: float | None = None
    _difference: float = field(default=0.0, repr=False)
    _power: float = field(default=0.0, repr=False)
    _hits: int = field(default=0, repr=False)
    _count: int = field(default=0, repr=False)

    def update(self, before: Array, after: Array) -> None:
        """Add a batch of this output from both models."""
        finite = np.isfinite(before) & np.isfinite(after)
        a, b = before[finite].astype(np.float64), after[finite].astype(np.float64)
        self._difference += float(np.sum((b - a) ** 2))
        self._power += float(np.sum(a**2))
        self.error = float(np.sqrt(self._difference / self._power)) if self._power else float(np.sqrt(self._difference))
        hits = _hits(before, after)
        if hits is not None:
            self._hits += int(hits.sum())
            self._count += hits.size
            self.same = self._hits / max(self._count, 1)


@dataclass(frozen=True)
class Fidelity:
    """Agreement by output name, what it was measured on, and the metric before and after by its name, if asked for."""

    outputs: dict[str, Agreement]
    origin: str
    metric: dict[str, tuple[float, float]]


def measure(before: Session, after: Session, samples: Samples, metric: Metric | None = None) -> Fidelity:
    """Run both models on every batch.

    Raises VerificationError when a shape changed or a value is no longer finite, CalibrationError when the
    metric fails.
    """
    outputs: dict[str, Agreement] = {}
    totals, count = np.zeros(2), 0
    for batch in samples.batches():
        wanted, got = before.run(batch), after.run(batch)
        for name, values in wanted.items():
            _check(name, values, got[name])
            outputs.setdefault(name, Agreement()).update(values, got[name])
        if metric is not None:
            size = len(next(iter(batch.values())))
            totals += [size * _called(metric, wanted, batch), size * _called(metric, got, batch)]
            count += size
    if metric is None:
        return Fidelity(outputs, samples.origin, {})
    was, now = (totals / count).tolist()
    return Fidelity(outputs, samples.origin, {getattr(metric, "__name__", "metric"): (was, now)})


def accuracy(label: str) -> Metric:
    """Return the share of samples whose largest entry, in the first 2-D output, lies at the label."""

    def accuracy(outputs: Mapping[str, Array], batch: Mapping[str, Array]) -> float:
        truth = batch[label]
        scores = next((array for array in outputs.values() if array.ndim == 2 and array.dtype.kind == "f"), None)
        if scores is None or truth.shape != (len(scores),):
            why = f"labels '{label}' have shape {list(truth.shape)}"
            raise UsageError("--labels needs one class number a sample and a 2-D output", why=why, hint="use --metric")
        return float((scores.argmax(1) == truth).mean())

    return accuracy


def _hits(before: Array, after: Array) -> Array | None:
    hits: Array | None = None
    if before.dtype.kind != "f":
        hits = before == after
    elif before.ndim == 2 and before.shape[1] > 1:
        hits = before.argmax(1) == after.argmax(1)
    return hits


def _check(name: str, before: Array, after: Array) -> None:
    if before.shape != after.shape or before.dtype != after.dtype:
        now, was = (f"{array.dtype.name}{list(array.shape)}" for array in (after, before))
        raise VerificationError(f"output '{name}' became {now}", why=f"it was {was}")
    if after.dtype.kind == "f" and not np.isfinite(after).all() and np.isfinite(before).all():
        raise VerificationError(f"output '{name}' holds NaN or Inf", why="the original's is finite on the same input")


def _called(metric: Metric, outputs: Mapping[str, Array], batch: Feeds) -> float:
    with guarded("the metric failed"):
        return float(metric(outputs, batch))
