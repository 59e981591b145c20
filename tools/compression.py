"""A pipeline run on a model: the original that targets are relative to, the devices, and what came of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..backends.blas import one_thread
from ..ir.feeds import Calibration
from ..ir.graph import Graph
from ..ir.runner import Runner
from ..ir.timing import Device
from ..ir.verify import verify
from ..ir.workers import IN_PROCESS, Workers
from ..passes.base import Context, silent
from ..passes.cache import Cache, DiskCache, MemoryCache
from ..passes.checkpoint import Checkpoint, given_facts, run_key
from ..passes.manager import PassManager
from ..passes.observers import Record
from ..passes.pipelines import FIRST
from ..passes.plan import Plan
from ..passes.provenance import annotate, noted
from .devices import device_of
from .gradients import differentiator
from .settings import Running

Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class Executed:
    """The graph that passes have left, the plan, what each pass did, and the ``start``: the original with its constants
    folded. ``device`` finds where a quantity counts; ``notes`` say what reading did to the samples.
    """

    graph: Graph
    plan: Plan
    records: tuple[Record, ...]
    start: Graph
    device: Callable[[str], Device]
    notes: tuple[str, ...] = ()


def baseline(graph: Graph, runner: Runner) -> Graph:
    """Return a copy with its constants folded: costs before count from here, where every shape and weight is known."""
    folded = graph.copy()
    PassManager.parse(FIRST).run(folded, Context(runner, graph))
    return folded


@dataclass(frozen=True)
class Started:
    """A pipeline run up to where targets part: from here each of them goes on, on a copy.

    ``graph`` and ``context`` are as the passes so far have left them, ``start`` as in :class:`Executed`.
    """

    original: Graph
    graph: Graph
    context: Context
    records: tuple[Record, ...]
    start: Graph
    running: Running

    def ended(self, manager: PassManager) -> Executed:
        """Run the rest of a pipeline on a copy. Raises what the passes raise."""
        graph, context = self.graph.copy(), replace(self.context, _view=None)
        with one_thread():
            records = manager.run(graph, context)
        return _finished(self.original, graph, context, (*self.records, *records), self.start, self.running)


def started(
    original: Graph,
    manager: PassManager,
    running: Running,
    calibration: Calibration | None,
    runner: Runner,
    progress: Progress = silent,
    workers: Workers = IN_PROCESS,
) -> Started:
    """Run the beginning of a pipeline, exact passes all, on a copy of ``original``. Raises what the passes raise."""
    first, rest = manager.split(FIRST)
    context = _context(original, running, calibration, runner, progress, workers=workers)
    with one_thread():
        begun = _begun(original, first, running, context)
        records = rest.run(begun.graph, begun.context, proven=original)
    return replace(begun, records=(*begun.records, *records))


def execute(
    original: Graph,
    manager: PassManager,
    running: Running,
    calibration: Calibration | None,
    runner: Runner,
    progress: Progress = silent,
    verify_each: bool = True,
    resume: Path | None = None,
    workers: Workers = IN_PROCESS,
) -> Executed:
    """Run a pipeline on a copy of ``original``; in ``resume`` the state is kept, and gone on from.

    What is left of the original's channels is noted at the nodes of the result, unless ``running`` says not to. Raises
    what the passes raise.
    """
    first, rest = manager.split(FIRST)
    context = _context(original, running, calibration, runner, progress, verify_each, workers)
    key = "" if resume is None else run_key(original, str(manager), running.seed, calibration, running.fit_samples)
    kept = None if resume is None else Checkpoint(resume, key, given_facts(resume))
    with one_thread():
        begun = _begun(original, first, running, context)
        records = rest.run(begun.graph, context, kept, proven=original if verify_each else None)
    return _finished(original, begun.graph, context, (*begun.records, *records), begun.start, running)


def _context(
    original: Graph,
    running: Running,
    calibration: Calibration | None,
    runner: Runner,
    progress: Progress,
    verify_each: bool = True,
    workers: Workers = IN_PROCESS,
) -> Context:
    context = Context(runner, original, calibration, running.seed, verify_each, progress=progress, given=original)
    context.workers, context.fit_samples = workers, running.fit_samples
    context.cache, context.plan = _cache(running), Plan(changes=noted(original))
    return context


def _begun(original: Graph, first: PassManager, running: Running, context: Context) -> Started:
    """Fold constants of a copy; the context gets the graph that targets are relative to."""
    graph = original.copy()
    records = first.run(graph, context)
    context.original = start = graph.copy() if records else baseline(original, context.runner)
    boards = context.workers.boards if running.latency_command is not None else None
    context.devices, context.differentiator = Devices(running, start, boards), differentiator(running)
    return Started(original, graph, context, tuple(records), start, running)


def _finished(
    original: Graph, graph: Graph, context: Context, records: tuple[Record, ...], start: Graph, running: Running
) -> Executed:
    verify(graph, original)
    if running.provenance:
        annotate(graph, context.plan.changes)
    notes = context.calibration.notes if context.calibration else ()
    assert context.devices is not None
    return Executed(graph, context.plan, records, start, context.devices, notes)


def _cache(running: Running) -> Cache:
    return DiskCache.at(running.cache_folder, limit=running.cache_limit) if running.cache else MemoryCache()


@dataclass(frozen=True)
class Devices:
    """Finds devices by the quantity that they measure; one is made when it is first asked for."""

    running: Running
    start: Graph
    boards: Workers | None = None
    known: dict[str, Device] = field(default_factory=dict)

    def __call__(self, quantity: str) -> Device:
        if quantity not in self.known:
            found, tape = device_of(quantity, self.running, self.start, self.boards), self.running.tape
            self.known[quantity] = found if tape is None else tape.on(found)
        return self.known[quantity]
