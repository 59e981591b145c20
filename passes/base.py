"""What a pass is: a frozen dataclass whose fields are its options, and a ``run`` that may rewrite a graph."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, Protocol, TypeVar

import numpy as np

from ..ir.feeds import Calibration
from ..ir.graph import Array, Graph
from ..ir.runner import Runner
from ..ir.timing import Device
from .cache import Cache
from .hashing import calibration_digest, code_digest, digest, graph_digest, source_digest

T = TypeVar("T")


@dataclass(frozen=True)
class Outcome:
    """What a pass did: whether the graph changed, notes a person reads, and figures for the report."""

    changed: bool
    notes: tuple[str, ...] = ()
    figures: dict[str, Any] = field(default_factory=dict)


@dataclass
class Context:
    """What passes share during one pipeline run.

    ``original`` is the graph that relative targets are relative to. ``decisions`` carries what one pass decides for a
    later one: widths, kept channels, the graph before removal. ``cached`` holds analyses, dropped when the graph
    changes; ``cache`` keeps what is dear for other runs; ``device`` is where latency counts; ``provided`` holds what
    criteria may ask for that neither the model nor unlabelled samples have: ``gradients``, ``gates``, ``labels``.
    """

    runner: Runner
    original: Graph
    calibration: Calibration | None = None
    seed: int = 0
    verify: bool = True
    decisions: dict[str, Any] = field(default_factory=dict)
    progress: Callable[[str, float], None] = lambda _text, _share: None
    cached: dict[Hashable, Any] = field(default_factory=dict)
    cache: Cache | None = None
    device: Device | None = None
    provided: dict[str, Any] = field(default_factory=dict)

    def analysis(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return a cached analysis of the current graph, making it when needed."""
        if key not in self.cached:
            self.cached[key] = make()
        found: T = self.cached[key]
        return found

    def remember(
        self,
        name: str,
        graph: Graph,
        options: Sequence[Any],
        make: Callable[[], Mapping[str, Array]],
        code: Sequence[object] = (),
    ) -> Mapping[str, Array]:
        """Return arrays from the cache, making and saving them when needed.

        The key is all that they may depend on: our code, and that of other packages which ``make`` and the functions
        and objects in ``code`` come from; ``name``, ``graph``, calibration data, seed, and ``options``: nested
        sequences of strings, bytes, numbers and arrays.
        """
        if self.cache is None:
            return make()
        sources = code_digest(), source_digest(make, *code)
        key = f"{name}-{digest(sources, name, graph_digest(graph), self._samples, self.seed, options)}"
        found: Mapping[str, Array] | None = self.cache.load(key)
        if found is None:
            found = make()
            self.cache.save(key, found)
        return found

    @cached_property
    def _samples(self) -> str:
        return "" if self.calibration is None else calibration_digest(self.calibration)

    def fitting(self) -> Calibration:
        """Samples to take statistics from: all but the quarter, at most 128, that judges. Needs calibration data."""
        assert self.calibration is not None
        return self.calibration.head(self.calibration.samples - self._judges())

    def judging(self, most: int) -> Calibration:
        """Samples that statistics have not seen, at most ``most``; all samples when there are fewer than four."""
        assert self.calibration is not None
        count = self._judges()
        return self.calibration.tail(self.calibration.samples - count).head(most) if count else self.calibration

    def _judges(self) -> int:
        assert self.calibration is not None
        return min(128, self.calibration.samples // 4)

    def rng(self) -> np.random.Generator:
        """Return a fresh generator of this run's seed."""
        return np.random.default_rng(self.seed)


class Pass(Protocol):
    """One step of a pipeline."""

    name: ClassVar[str]

    def run(self, graph: Graph, context: Context) -> Outcome:
        """Rewrite ``graph`` in place, or say that nothing changed."""
