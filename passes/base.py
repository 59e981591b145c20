"""What a pass is: a frozen dataclass whose fields are its options, and a ``run`` that may rewrite a graph."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any, ClassVar, Protocol

import numpy as np

from ..ir.errors import UsageError
from ..ir.feeds import Calibration
from ..ir.graph import Array, Graph
from ..ir.runner import Runner
from ..ir.timing import Device
from ..ir.workers import InProcess, Workers
from .analysis.channels.groups import Channels
from .analysis.channels.origins import Origins
from .analysis.costs.target import Target
from .analysis.layers.linear import Linear
from .analysis.statistics.input_moments import LazyMoments, StoredMoments, input_moments
from .analysis.view import View
from .cache import Cache
from .hashing import calibration_digest, code_digest, digest, graph_digest, source_digest
from .observers import Record
from .plan import Plan


@dataclass(frozen=True)
class Outcome:
    """What a pass did: whether the graph changed, notes a person reads, and figures for the report.

    ``plan``: what it has decided and done, where it differs from what its declarations leave of the plan before;
    ``left``: what an exact removal leaves of the tensors that it shortens. ``inner``: what passes did that it has run.
    ``preserved`` names the analyses of :class:`.analysis.view.View` that still hold although the graph changed.
    """

    changed: bool
    notes: tuple[str, ...] = ()
    figures: dict[str, Any] = field(default_factory=dict)
    plan: Plan | None = None
    left: Origins = field(default_factory=dict)
    preserved: frozenset[str] = frozenset()
    inner: tuple[Record, ...] = ()


def silent(_text: str, _share: float) -> None:
    """Show no progress; a function, so that contexts pickle."""


@dataclass
class Context:
    """What passes share during one pipeline run.

    ``original`` is the graph that relative targets are relative to, and ``given`` the model as the user knows it, whose
    names options speak in; ``plan`` what was decided and done so far; ``cache`` keeps what is dear for other runs;
    ``devices`` finds where a quantity that is measured counts, by its name; ``provided`` holds what criteria may ask
    for that neither the model nor unlabelled samples have: ``gradients``, ``gates``, ``labels``; ``differentiator``
    makes of a task and the runner what computes its slopes, where that is not the runner; ``fit_samples`` is how
    many of the samples statistics and solves see, None for all; ``workers`` take statistics.
    """

    runner: Runner
    original: Graph
    calibration: Calibration | None = None
    seed: int = 0
    verify: bool = True
    plan: Plan = field(default_factory=Plan)
    progress: Callable[[str, float], None] = silent
    cache: Cache | None = None
    devices: Callable[[str], Device] | None = None
    given: Graph | None = None
    executor: Executor | None = None
    provided: dict[str, Any] = field(default_factory=dict)
    differentiator: Any = None
    fit_samples: int | None = None
    workers: Workers = field(default_factory=InProcess)
    _view: View | None = field(default=None, repr=False)

    def view(self, graph: Graph) -> View:
        """Return the analyses of a graph as it is now."""
        if self._view is None or self._view.graph is not graph:
            self._view = View(graph)
        return self._view

    def changed(self, preserved: frozenset[str] = frozenset()) -> None:
        """Drop the analyses of the graph before it changed, but for those ``preserved`` with all that they stand on."""
        self._view = None if self._view is None else self._view.after(preserved)

    def take(self, outcome: Outcome, preserves: frozenset[str]) -> None:
        """Go on to what a pass has left: its plan, or of the one before the facts that it preserves."""
        version = self.plan.version + outcome.changed
        if outcome.changed:
            self.changed(outcome.preserved)
        if outcome.plan is not None:
            self.plan = replace(outcome.plan, version=version)
        elif outcome.changed:
            self.plan = self.plan.carried(version, preserves).shortened(outcome.left)

    def parse(self, pipeline: str) -> tuple[Pass, ...]:
        """Read passes that a pass runs itself. Raises UsageError."""
        assert self.executor is not None  # the manager sets itself
        return self.executor.steps(pipeline)

    def nested(self, steps: Sequence[Pass], graph: Graph, context: Context) -> list[Record]:
        """Run passes inside a pass, on a graph and a context of their own. Raises what they raise."""
        assert self.executor is not None
        return self.executor.nested(steps, graph, context)

    def device(self, quantity: str) -> Device:
        """Return the device where a quantity is measured. Raises UsageError where none is known."""
        if self.devices is None:
            raise UsageError(f"{quantity} needs a device to measure on", hint="run the pipeline with compress or run")
        return self.devices(quantity)

    def whole(self, target: Target) -> Graph:
        """Return the graph that shares of a target are of; see :meth:`.Target.whole`."""
        return target.whole(self.given, self.original)

    def moments(self, view: View, rows: int = 0) -> LazyMoments:
        """Return the moments of what every layer of a view reads, measured when first asked for. Needs data.

        Of layers in groups only those whose inputs may go; in depthwise ones the groups themselves do.
        ``rows``: positions that a convolution's are taken from, 0 for a few for every input.
        """
        assert self.calibration is not None

        def lazily() -> LazyMoments:
            read = {end.node for end in view.channels.context.contractions}
            others = [each for each in view.layers.values() if each.groups == 1 and each.node not in read]
            chosen = [*(each for each in view.layers.values() if each.node in read), *others]  # others may change form
            return LazyMoments(partial(self._measured, view.graph.copy(), chosen, view.channels, rows), key=(rows,))

        return view.once(("moments", rows), lazily)

    def _measured(self, graph: Graph, layers: Sequence[Linear], channels: Channels, rows: int) -> StoredMoments:
        self.progress("measuring activations", 0.0)
        shapes = channels.context.shapes
        given = graph, layers, shapes, self.fitting(), self.runner, self.rng()
        return input_moments(*given, rows=rows or None, workers=self.workers)

    def remember(
        self,
        name: str,
        graph: Graph,
        options: Sequence[Any],
        make: Callable[[], Mapping[str, Array]],
        code: Sequence[object] = (),
        worth: float = 0.0,
    ) -> Mapping[str, Array]:
        """Return arrays from the cache, making and saving them when needed; what took less than ``worth`` seconds to
        make is not saved.

        The key is all that they may depend on: our code, and that of other packages which ``make`` and the functions
        and objects in ``code`` come from; ``name``, ``graph``, calibration data, seed, and ``options``: nested
        sequences of strings, bytes, numbers and arrays.
        """
        if self.cache is None:
            return make()
        sources = code_digest(), source_digest(make, *code)
        key = f"{name}-{digest(sources, name, self._hashed(graph), self._samples, self.seed, options)}"
        found: Mapping[str, Array] | None = self.cache.load(key)
        if found is None:
            begun = time.perf_counter()
            found = make()
            if time.perf_counter() - begun >= worth:
                self.cache.save(key, found)
        return found

    def _hashed(self, graph: Graph) -> str:
        """Return the hash of a graph; of the one in view it is taken once."""
        known = self._view
        if known is None or known.graph is not graph:
            return graph_digest(graph)
        return known.once("digest", partial(graph_digest, graph))

    @cached_property
    def _samples(self) -> str:
        return "" if self.calibration is None else digest(calibration_digest(self.calibration), self.fit_samples or 0)

    def fitting(self) -> Calibration:
        """Samples to take statistics from: of those to descend on, the first ``fit_samples``, or all. Needs data."""
        learning = self.learning()
        return learning if self.fit_samples is None else learning.head(self.fit_samples)

    def solving(self) -> Calibration:
        """Samples to solve layers on: the first ``fit_samples``, or all, those that judge among them."""
        assert self.calibration is not None
        return self.calibration if self.fit_samples is None else self.calibration.head(self.fit_samples)

    def learning(self) -> Calibration:
        """Samples to descend on: all but the last quarter, at most 128, that judges."""
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
    """One step of a pipeline.

    It may also declare facts, in the words of :mod:`.order`: ``needs``, ``provides``, ``carries_out`` and
    ``preserves``, each a frozenset. One that rewrites the graph and declares nothing preserves nothing.
    """

    name: ClassVar[str]

    def run(self, graph: Graph, context: Context) -> Outcome:
        """Rewrite ``graph`` in place, or say that nothing changed."""


class Executor(Protocol):
    """What runs passes for a pass."""

    def steps(self, pipeline: str) -> tuple[Pass, ...]:
        """Read a pipeline. Raises UsageError."""

    def nested(self, steps: Sequence[Pass], graph: Graph, context: Context) -> list[Record]:
        """Run passes on ``graph``, in place. Raises what they raise."""
