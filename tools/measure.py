"""How closely a rewritten model follows the original on the same samples, and a metric of both."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from ..frontends.scripts import guarded
from ..ir.errors import UsageError
from ..ir.feeds import Feeds
from ..ir.graph import Array, Graph
from ..ir.runner import Session
from ..ir.timing import Interval
from ..passes.analysis.outputs.reading import Reading, readings
from .agreement import DOUBT, Agreement, check_alike
from .answers import Answers
from .evaluation import Samples

Metric = Callable[[Mapping[str, Array], Mapping[str, Array]], float]


@dataclass(frozen=True)
class Fidelity:
    """Agreement by output name, what it was measured on, and the metric before and after by its name, if asked for.

    ``losses``: of every batch how many samples it has, and how much the metric fell on them.
    """

    outputs: dict[str, Agreement]
    samples: Samples
    metric: dict[str, tuple[float, float]]
    losses: tuple[tuple[int, float], ...] = ()

    @property
    def told(self) -> dict[str, Agreement]:
        """What may be told of the outputs: nothing where the samples do not judge."""
        return self.outputs if self.samples.judges else {}

    @property
    def spread(self) -> Interval | None:
        """What :attr:`fell` is worth telling: of a share of samples, on samples apart, in more than one batch."""
        shares = all(abs(value) <= 1 for pair in self.metric.values() for value in pair) and "accuracy" in self.metric
        return self.fell if shares and self.samples.held_out and len(self.losses) > 1 else None

    @property
    def fell(self) -> Interval:
        """How much the metric fell, between the ends of its 95 % interval: Student's t over batches.

        One more sample that changes its mind is added to the variance (as Agresti, Min, Statistics in Medicine 2005),
        so that no difference at all is not taken for certainty.
        """
        size, loss = np.array(self.losses, np.float64).T
        mean = float(size @ loss / size.sum())
        if len(size) < 2:
            return Interval(-1.0, mean, 1.0)
        off = reach(len(size), float(size.sum()), float(((size * (loss - mean)) ** 2).sum()))
        return Interval(mean - off, mean, mean + off)


def reach(batches: int, samples: float, squares: float = 0.0) -> float:
    """Return how far a mean over samples may be off: :attr:`Fidelity.fell`, of what batches' sums are squared off."""
    return float(stdtrit(batches - 1, 1 - DOUBT / 2)) * float(np.sqrt(squares + 1)) / samples


def compared(original: Answers, graph: Graph, samples: Samples, metric: Metric | None = None) -> Fidelity:
    """Hold a rewritten graph against the original, output by output and by the parts that outputs are judged by.

    Raises what :func:`measure` raises.
    """
    read, left = readings(original.graph), graph.tensors()
    inner = {part.tensor for reading in read.values() for part in reading.parts if part.tensor in left}
    names = list(dict.fromkeys([*(tensor.name for tensor in original.graph.outputs), *sorted(inner)]))
    after = original.runner.session(graph, outputs=names)
    return measure(original.to(names), after, samples, metric, read)


def measure(
    before: Session,
    after: Session,
    samples: Samples,
    metric: Metric | None = None,
    read: Mapping[str, Reading] | None = None,
) -> Fidelity:
    """Run both models on every batch; ``read`` says how each output is read, by default all that are given.

    Raises VerificationError when a shape changed or a value is not finite, CalibrationError when the metric fails.
    """
    outputs = {name: Agreement(reading) for name, reading in (read or {}).items()}
    scores = list[tuple[int, float, float]]()
    for batch in samples.batches():
        wanted, got = before.run(batch), after.run(batch)
        size = samples.count(batch)
        for name in read or wanted:
            found = outputs.setdefault(name, Agreement())
            check_alike(name, wanted[name], got[name], found.reading.decided)
            found.update(name, wanted, got, size)
        if metric is not None:
            own = [{name: values[name] for name in outputs} for values in (wanted, got)]
            was, now = (_called(metric, values, batch) for values in own)
            scores.append((size, was, now))
    if metric is None:
        return Fidelity(outputs, samples, {})
    sizes, *values = np.array(scores, np.float64).T
    was, now = (float(sizes @ each / sizes.sum()) for each in values)
    losses = tuple((size, before - after) for size, before, after in scores)
    return Fidelity(outputs, samples, {getattr(metric, "__name__", "metric"): (was, now)}, losses)


def accuracy(label: str) -> Metric:
    """Return the share of samples whose largest entry, in the first 2-D output, lies at the label."""

    def accuracy(outputs: Mapping[str, Array], batch: Mapping[str, Array]) -> float:
        truth = batch[label]
        scores = next((array for array in outputs.values() if array.ndim == 2 and array.dtype.kind == "f"), None)
        if scores is None or truth.shape != (len(scores),):
            why = f"labels '{label}' have shape {list(truth.shape)}"
            raise UsageError("--labels needs one class number a sample and a 2-D output", why=why, hint="use --metric")
        known = np.isin(truth, np.arange(scores.shape[1]))
        if not known.all():
            why = f"{truth[~known][0]} is among them, and the output has {scores.shape[1]} classes"
            raise UsageError(
                f"labels '{label}' are no class numbers",
                why=why,
                hint="classes are numbered from 0; leave samples of none out, or give --metric",
            )
        return float((scores.argmax(1) == truth).mean())

    return accuracy


def check_metric(original: Session, samples: Samples, metric: Metric) -> None:
    """Try a metric on the first samples, before any work. Raises UsageError, CalibrationError where it fails."""
    first = next(iter(samples.batches()))
    _called(metric, original.run(first), first)


def _called(metric: Metric, outputs: Mapping[str, Array], batch: Feeds) -> float:
    with guarded("the metric failed"):
        return float(metric(outputs, batch))
