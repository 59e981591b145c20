"""Targets carried out where the workers are. What came of one is kept in the cache, and taken from there again."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property

from ..backends.blas import one_thread
from ..ir.errors import TargetNotMetError, UsageError
from ..ir.feeds import Calibration
from ..ir.workers import IN_PROCESS, InProcess, Workers
from ..passes.analysis.costs.target import Target
from ..passes.base import Context
from ..passes.cache import MemoryCache, TeeCache
from ..passes.hashing import Part, calibration_digest, code_digest, digest, graph_digest, source_digest
from ..passes.manager import PassManager
from ..passes.packed import LARGEST, Packed, packed, unpacked
from ..passes.search.meet_target import MeetTarget
from .compression import Devices, Executed, Started
from .gradients import differentiator
from .recipes import pipeline
from .settings import Settings


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
            for number, target in enumerate(targets):
                yield number, carried_out(self.settings, self.started, target), False
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
        bare = _bare(self.started)
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
            aims = [step for step in _aimed(self.settings, target).passes if isinstance(step, MeetTarget)]
            with suppress(TargetNotMetError), one_thread():
                context.nested(context.parse(aims[0].propose), self.started.graph.copy(), own)
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
        told: list[Part] = [running.seed, running.place, running.threads, running.batch]
        told += [running.tune_on, running.provenance, running.fit_samples or 0]
        here = platform.node() if running.here else ""
        sources = code_digest(), source_digest(*aimed.passes)
        return f"target-{digest(sources, self._start, str(aimed), told, here)}"

    @cached_property
    def _start(self) -> str:
        samples = self.started.context.calibration
        return digest(graph_digest(self.started.original), "" if samples is None else calibration_digest(samples))

    def _unpacked(self, found: Packed) -> Executed:
        """Read what a run has packed. Raises InvalidModelError for what it has not."""
        graph, plan, records, notes = unpacked(found, self.started.graph)
        assert self.started.context.devices is not None
        return Executed(graph, plan, records, self.started.start, self.started.context.devices, notes)


def carried_out(settings: Settings, started: Started, target: Target) -> Executed | TargetNotMetError:
    """Run the passes for a target, on a copy; return a miss. Raises what else they raise."""
    try:
        return started.ended(_aimed(settings, target))
    except TargetNotMetError as error:
        return error


def packed_here(settings: Settings, started: Started, target: Target) -> Packed | TargetNotMetError:
    """Do what :func:`carried_out` does, and pack the result."""
    found = carried_out(settings, started, target)
    if isinstance(found, TargetNotMetError):
        return found
    return packed(started.graph, found.graph, found.plan, found.records, found.notes)


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


def _bare(started: Started) -> Started:
    """Leave out what a worker makes anew, and what is sent apart."""
    known = started.context
    bare = Context(
        known.runner,
        known.original,
        seed=known.seed,
        plan=known.plan,
        given=started.original,
        fit_samples=known.fit_samples,
    )
    return replace(started, context=bare)
