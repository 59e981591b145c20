"""Targets carried out where the workers are. What came of one is kept in the cache, and taken from there again."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import onnx

from ..ir.errors import TargetNotMetError, UsageError
from ..ir.feeds import Calibration
from ..ir.graph import Array, Graph
from ..ir.runner import Runner
from ..ir.workers import IN_PROCESS, InProcess, Workers
from ..passes.analysis.costs.target import Target
from ..passes.analysis.view import View
from ..passes.base import Context
from ..passes.cache import MemoryCache, TeeCache
from ..passes.checkpoint import plan_from_json, plan_to_json
from ..passes.codec import decode, encode
from ..passes.hashing import Part, calibration_digest, code_digest, digest, graph_digest, source_digest
from ..passes.manager import PassManager
from ..passes.search.meet_target import MeetTarget
from .compression import Devices, Executed, Started
from .gradients import differentiator
from .recipes import pipeline
from .settings import Settings

Packed = Mapping[str, Array]
"""A target carried out, as arrays that the cache keeps and processes send."""

LARGEST = 2**30  # bytes of a model: larger ones are neither sent nor kept


@dataclass(frozen=True)
class Candidates:
    """Carries targets out. ``started`` is where they part."""

    settings: Settings
    started: Started
    workers: Workers = IN_PROCESS
    _known: list[MemoryCache] = field(default_factory=list, repr=False)

    def each(self, targets: Sequence[Target]) -> Iterator[tuple[int, Executed | TargetNotMetError, bool]]:
        """Yield the number of each target, what came of it, and whether that was kept from before; in any order.

        A miss is not kept. Raises what the passes raise, but for TargetNotMetError.
        """
        if self.started.original.written_bytes() > LARGEST:
            yield from (
                (number, carried_out(self.settings, self.started, one), False) for number, one in enumerate(targets)
            )
            return
        missing = list[int]()
        for number, target in enumerate(targets):
            kept = self._load(target)
            if kept is None:
                missing.append(number)
            else:
                yield number, self._unpacked(kept), True
        for place, found in self._done([targets[number] for number in missing]):
            if isinstance(found, TargetNotMetError):
                yield missing[place], found, False
                continue
            self._save(targets[missing[place]], found)
            yield missing[place], self._unpacked(found), False

    def _done(self, targets: Sequence[Target]) -> Iterator[tuple[int, Packed | TargetNotMetError]]:
        """Have workers carry targets out; yield what comes back, as it does."""
        if isinstance(self.workers, InProcess):
            yield from self.workers.each(packed_here, (self.settings, self.started), targets)
            return
        if not targets:
            return
        progress, samples = self.started.context.progress, self.started.context.calibration
        sent = None if samples is None else samples.gathered()
        bare = _bare(self.started, self.workers.lent(self.started.context.runner))
        held = (self.settings, bare, code_digest(), sent, self._measured(targets[0]))
        for count, done in enumerate(self.workers.each(packed_there, held, targets), 1):
            progress("carrying out targets", count / len(targets))
            yield done

    def _measured(self, target: Target) -> MemoryCache:
        """Return what proposals measure, taken here once: rankings and tables of errors that all targets share."""
        if not self._known:
            known, context = MemoryCache(), self.started.context
            assert context.cache is not None
            own = replace(context, cache=TeeCache(context.cache, known), _view=None)
            for step in _aimed(self.settings, target).passes:
                if isinstance(step, MeetTarget):
                    with suppress(TargetNotMetError):
                        context.nested(context.parse(step.propose), self.started.graph.copy(), own)
            self._known.append(known)
        return self._known[0]

    def _load(self, target: Target) -> Packed | None:
        cache = self.started.context.cache
        return cache.load(self._key(target)) if cache is not None and cache.lasting else None

    def _save(self, target: Target, found: Packed) -> None:
        cache = self.started.context.cache
        if cache is not None and cache.lasting:
            cache.save(self._key(target), found)

    def _key(self, target: Target) -> str:
        """Hash all that the result may depend on; where time may have been measured here, this machine too."""
        aimed, running = _aimed(self.settings, target), self.settings
        told: list[Part] = [
            running.seed,
            running.threads,
            running.batch,
            running.place,
            running.tune_on,
            running.provenance,
        ]
        here = platform.node() if running.here else ""
        sources = code_digest(), source_digest(*aimed.passes)
        return f"target-{digest(sources, self._start, str(aimed), told, here)}"

    @cached_property
    def _start(self) -> str:
        samples = self.started.context.calibration
        return digest(graph_digest(self.started.original), "" if samples is None else calibration_digest(samples))

    def _unpacked(self, found: Packed) -> Executed:
        """Read what :func:`packed` has written. Raises InvalidModelError for what it has not."""
        state = json.loads(found["state"].tobytes())
        graph, reference = (self._graph(found[name]) for name in ("graph", "reference"))
        assert graph is not None and self.started.context.devices is not None
        plan = plan_from_json(state["plan"], View(graph), reference)
        records, notes = tuple(decode(state["records"])), tuple(state["notes"])
        return Executed(graph, plan, records, self.started.start, self.started.context.devices, notes)

    def _graph(self, data: Array) -> Graph | None:
        if not data.size:
            return None
        graph = Graph.of(onnx.load_model_from_string(data.tobytes()))
        graph.sizes = self.started.graph.sizes
        return graph


def packed(found: Executed) -> Packed:
    """Write the graph, the reference of its plan, the plan, records and notes as bytes, (n,) uint8 each."""
    state = {"plan": plan_to_json(found.plan), "records": encode(found.records), "notes": list(found.notes)}
    reference = found.plan.reference
    parts = {
        "graph": _written(found.graph),
        "reference": b"" if reference is None else _written(reference.graph),
        "state": json.dumps(state).encode(),
    }
    return {name: np.frombuffer(data, np.uint8) for name, data in parts.items()}


def carried_out(settings: Settings, started: Started, target: Target) -> Executed | TargetNotMetError:
    """Run the passes for a target, on a copy; return a miss. Raises what else they raise."""
    try:
        return started.ended(_aimed(settings, target))
    except TargetNotMetError as error:
        return error


def packed_here(settings: Settings, started: Started, target: Target) -> Packed | TargetNotMetError:
    """Do what :func:`carried_out` does, and pack the result."""
    found = carried_out(settings, started, target)
    return found if isinstance(found, TargetNotMetError) else packed(found)


def packed_there(
    settings: Settings, bare: Started, code: str, samples: Calibration | None, known: MemoryCache, target: Target
) -> Packed | TargetNotMetError:
    """Do what :func:`packed_here` does, in a worker. Raises UsageError where that has another version of the code."""
    if code != code_digest():
        why = "a worker has another version of optimise-onnx, or of what it stands on"
        raise UsageError("workers would give other results", why=why, hint="install the same versions everywhere")
    devices = Devices(settings, bare.start)
    context = replace(
        bare.context, calibration=samples, cache=known, devices=devices, differentiator=differentiator(settings)
    )
    return packed_here(settings, replace(bare, context=context), target)


def _aimed(settings: Settings, target: Target) -> PassManager:
    """Return the passes from where targets part."""
    return PassManager.parse(pipeline(replace(settings, target=target))).parted(MeetTarget.name)[1]


def _bare(started: Started, runner: Runner) -> Started:
    """Leave out what a worker makes anew, and what is sent apart."""
    bare = Context(
        runner, started.context.original, seed=started.context.seed, plan=started.context.plan, given=started.original
    )
    return replace(started, context=bare)


def _written(graph: Graph) -> bytes:
    return bytes(graph.to_model().SerializeToString(deterministic=True))
