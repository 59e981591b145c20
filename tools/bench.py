"""Measure one or two models: latency, and the time by operator and layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..backends.ort import OrtRunner
from ..backends.ort.profiler import profile
from ..ir.errors import UsageError
from ..ir.feeds import fixed_batches
from ..ir.graph import Graph
from ..ir.timing import Interval, Latency
from . import api, evaluation
from .profile import Profile
from .sizing import InputShapes, notes, sized


@dataclass(frozen=True)
class Bench:
    """What was measured and how. ``batch`` is None for a model whose inputs fix different first dimensions.

    ``notes`` say at which sizes, where nobody gave them.
    """

    models: tuple[str, ...]
    threads: int
    batch: int | None
    latency: Latency
    profile: Profile | None
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return plain values: milliseconds, the ratio of B to A, and microseconds by operator and layer."""
        return {
            "models": list(self.models),
            "threads": self.threads,
            "batch": self.batch,
            "notes": list(self.notes),
            "latency": _spelled(self.latency.to_json()),
            "profile": self.profile.to_json() if self.profile else None,
        }


def bench(
    paths: Sequence[Path],
    *,
    threads: int = 1,
    batch: int | None = None,
    seconds: float = 5.0,
    seed: int = 0,
    profiled: bool = False,
    input_shapes: InputShapes | None = None,
) -> Bench:
    """Measure models on random inputs drawn from ``seed``, for about ``seconds`` and, ``profiled``, as long again.

    ``threads`` 0 leaves the number to onnxruntime. Threads spin during a run, as is onnxruntime's default, but not
    between runs, where they would take the cores from the other model. ``input_shapes``, for both models, as in
    :func:`optimise_onnx.compress`. Raises InvalidModelError, and UsageError when a model fixes its batch at another
    size than ``batch`` or than the other model.
    """
    runner = OrtRunner(threads, spinning=True)
    graphs = [sized(api.load(path), runner, input_shapes) for path in paths]
    size = _batch(paths, graphs, batch)
    sessions = [runner.deployed(graph) for graph in graphs]
    feeds = [evaluation.one(graph, session, seed, size or 1) for graph, session in zip(graphs, sessions, strict=True)]
    found = runner.latency(sessions, feeds, seconds)
    nodes = Profile(tuple(profile(graphs, feeds, runner, seconds))) if profiled else None
    said = dict.fromkeys(note for graph in graphs for note in notes(graph))
    return Bench(tuple(map(str, paths)), threads, size, found, nodes, tuple(said))


def _spelled(figures: dict[str, Any]) -> dict[str, Any]:
    """Write intervals by the names of their ends."""
    found = {name: value._asdict() if isinstance(value, Interval) else value for name, value in figures.items()}
    return {name: _spelled(value) if isinstance(value, dict) else value for name, value in found.items()}


def _batch(paths: Sequence[Path], graphs: Sequence[Graph], wanted: int | None) -> int | None:
    """Return the samples of one run: ``wanted``, or what the models fix; None where that is no single number."""
    fixed = {str(path): sizes for path, graph in zip(paths, graphs, strict=True) if (sizes := fixed_batches(graph))}
    said = " and ".join(f"'{path}' fixes {', '.join(map(str, sorted(sizes)))}" for path, sizes in fixed.items())
    if wanted is not None and set().union(*fixed.values()) - {wanted}:
        raise UsageError(f"the batch cannot be {wanted}", why=said, hint="leave --batch out")
    sizes = next(iter(fixed.values()), {wanted or 1})
    if any(other != sizes for other in fixed.values()):
        raise UsageError("the models take different batches", why=said)
    return next(iter(sizes)) if len(sizes) == 1 else None
