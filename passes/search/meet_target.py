"""``meet-target``: choose, carry out, measure, and choose again where the target is missed or the model is slower."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from math import ceil
from typing import Any, ClassVar

from ...ir.errors import TargetNotMetError, UsageError, too_noisy
from ...ir.graph import Graph
from ...ir.quantity import LATENCY
from ...ir.timing import PATIENCE, Comparison, Device
from ..analysis.costs.target import Target
from ..base import Context, Outcome, Pass
from ..observers import Record
from .candidates import Candidate, Evaluator

_ATTEMPTS = 3
_BLOCK = 16  # channels that kernels take at once, at most
_FARTHEST = 1.5  # times as much less is asked for at once: figures beyond are rather of a machine that is not quiet
_LEAST_STEP = 0.001
_UNSURE = 1.03  # as much less is asked for where it cannot be told whether the target is met


@dataclass(frozen=True)
class MeetTarget:
    """Meet the target of the ``allocate`` that ends ``propose``; each plan is carried out by the passes in ``finish``.

    Several plans that ``allocate`` cannot tell apart are all carried out, and the one stays that follows the original
    best. A quantity that a device measures is measured again in the end, until the whole interval lies on one side of
    the target: where it is missed, or that cannot be told, ``allocate`` is asked for as much less, twice at most. With
    ``guard`` a model that is slower than the original gives way to one whose widths are multiples of what pays on the
    device, or of half or a quarter of that; of 16, 8 or 4 where any width seemed to.

    With a ``step`` the way there goes over targets that lie this share of the original apart, each proposed and
    finished on what the one before has left: so all that is known of channels is estimated anew as they go.
    """

    propose: str
    finish: str
    guard: bool = True
    step: float = 0.0
    name: ClassVar[str] = "meet-target"
    provides: ClassVar[frozenset[str]] = frozenset({"reference"})
    preserves: ClassVar[frozenset[str]] = frozenset({"reference"})

    @property
    def nested(self) -> str:
        """The passes that it runs, as one pipeline."""
        once = f"{self.propose},{self.finish}"
        return f"{once},{once}" if self.step else once

    def run(self, graph: Graph, context: Context) -> Outcome:
        """Rewrite the graph, unless it meets the target already. Raises TargetNotMetError, and what passes raise."""
        check_step(self.step)
        *before, last = context.parse(self.propose)
        if self.step and 0 < getattr(last, "max_ratio", 1) < 1:
            why = "max-ratio bounds what a group loses of the width that is left, in every step"
            raise UsageError("max-ratio cannot be kept in steps", why=why, hint="give step=0 too")
        if not hasattr(last, "target"):
            raise UsageError(f"meet-target proposes nothing: {last.name} knows no target", hint="let allocate end it")
        target = Target.parse(last.target)
        whole = context.whole(target)
        if target.met(whole, graph):
            return Outcome(False, (f"{target} is met already",), plan=context.plan.referred(context.view(graph)))
        base, prepared = graph.copy(), replace(context, _view=None)
        finish = context.parse(self.finish)
        records = list[Record]()
        for point in self._on_the_way(target, context):
            if point.met(whole, base):
                continue
            try:
                records += context.nested([*before, _aimed(last, point), *finish], base, prepared)
            except TargetNotMetError:
                break  # what the last target says counts
        records += context.nested(before, base, prepared)
        attempts = _Attempts(target, last, base, prepared, Evaluator(base, prepared, finish))
        found, note = attempts.measured() if target.measured else attempts.guarded() if self.guard else attempts.first()
        graph.become(found.graph)
        figures = {"predicted": found.plan.decision.figures.get("latency_predicted")}
        note = (*note, found.note) if found.note else note
        return Outcome(True, note, figures, found.plan, inner=(*records, *found.records))

    def _on_the_way(self, target: Target, context: Context) -> list[Target]:
        """Return the targets before the last one, as shares of the original."""
        if not self.step:
            return []
        end = _share(target, context)
        count = ceil(round((1 - end) / self.step, 9)) - 1
        return [replace(target, amount=1 - number * self.step, relative=True) for number in range(1, count + 1)]


def check_step(step: float) -> None:
    """Raise UsageError for what is no share of the original to go in a step."""
    if not (step == 0 or _LEAST_STEP <= step < 1):
        raise UsageError(f"step={step} is no share of the original", hint=f"0, or {_LEAST_STEP} and more, below 1")


@dataclass(frozen=True)
class _Attempts:
    """One target, and the graph that ``allocate`` decides about, prepared for it."""

    target: Target
    allocate: Any
    graph: Graph
    context: Context
    evaluator: Evaluator

    @cached_property
    def device(self) -> Device:
        return self.context.device((self.target.quantity if self.target.measured else LATENCY).name)

    @property
    def before(self) -> Graph:
        """What the guard holds times against: the model as its user runs it."""
        return self.context.given or self.context.original

    def first(self) -> tuple[Candidate, tuple[str, ...]]:
        """Carry out what is decided, whatever it takes."""
        return self._carried_out(self.allocate), ()

    def measured(self) -> tuple[Candidate, tuple[str, ...]]:
        """Measure what came of a plan; unless it is surely in the target, ask for less in proportion, twice at most."""
        asked, tried, notes = self.target, list[tuple[Candidate, Comparison]](), list[str]()
        while len(tried) < _ATTEMPTS:
            found = self._carried_out(_aimed(self.allocate, asked))
            seen = self._compared(found)
            tried.append((found, seen))
            if self._within(seen):
                return found, tuple(notes)
            asked = asked.tightened(self._excess(seen))
            notes.append(f"measured to miss {self.target}, so {asked} was asked for")
        found, seen = min(tried, key=lambda pair: pair[1].ratio.middle)
        if not self.allocate.allow_partial:
            raise self._unmet(seen)
        return found, tuple(notes[:-1])

    def guarded(self) -> tuple[Candidate, tuple[str, ...]]:
        """Return a model that is not slower than the original by more than noise."""
        found = self._carried_out(self.allocate)
        seen = found.compared(self.device, self.before)
        if not _slower(seen):
            return found, ()
        tried = []
        for align, snapped in self._snapped():
            tried.append(str(align))
            if not _slower(snapped.compared(self.device, self.before)):
                return snapped, (f"slower than the original at other widths, so these are multiples of {align}",)
        if self.allocate.allow_partial:
            return found, ("slower than the original",)
        low, middle, high = seen.ratio
        others = f", and is slower at multiples of {' and '.join(tried)} too" if tried else ""
        raise TargetNotMetError(
            "the smaller model is not faster",
            why=f"it takes {middle:.3f} of the original's time here ({low:.3f} to {high:.3f}){others}",
            hint="--target latency=0.8x spends accuracy on time; --no-guard writes it all the same",
        )

    def _snapped(self) -> Iterator[tuple[int, Candidate]]:
        multiple = self.device.multiple()
        multiple = multiple if multiple > 1 else _BLOCK  # what is slower was not to be had at any width
        for align in sorted({multiple, multiple // 2, multiple // 4} - {0, 1, self.allocate.align}, reverse=True):
            try:
                yield align, self._carried_out(replace(self.allocate, align=align))
            except TargetNotMetError:
                continue

    def _carried_out(self, allocate: Pass) -> Candidate:
        own = replace(self.context)
        records = self.context.nested([allocate], self.graph, own)
        found = self.evaluator.best(own.plan)
        return replace(found, records=(*records, *found.records))

    def _compared(self, found: Candidate) -> Comparison:
        """Hold a candidate against the original until the whole interval lies on one side of the limit, or too long."""
        whole = self.context.whole(self.target)
        seen, end = found.compared(self.device, whole), time.monotonic() + PATIENCE
        while seen.rounds is not None and seen.ratio.undecided(self._limit(seen)) and time.monotonic() < end:
            seen = seen.joined(found.compared(self.device, whole))
        return seen

    def _limit(self, seen: Comparison) -> float:
        return self.target.budget(seen.before) / seen.before

    def _within(self, seen: Comparison) -> bool:
        return seen.ratio.within(self._limit(seen))

    def _excess(self, seen: Comparison) -> float:
        """Return how many times too long it takes, as far as that is believed; where it cannot be told, a little."""
        limit = self._limit(seen)
        beyond = seen.ratio.beyond(limit)
        return min(seen.ratio.middle / limit, _FARTHEST) if beyond else min(seen.ratio.high / limit, _UNSURE)

    def _unmet(self, seen: Comparison) -> TargetNotMetError:
        limit = self._limit(seen)
        why = f"it was measured to take {seen.ratio.middle:.3f} of the original's, the limit is {limit:.3f}"
        if seen.ratio.beyond(limit):
            return TargetNotMetError(f"the target {self.target} was not met", why=why, hint="--allow-partial writes it")
        return too_noisy(str(self.target), f"{why}, and it may be {seen.ratio.low:.3f} to {seen.ratio.high:.3f}")


def _aimed(allocate: Any, target: Target) -> Pass:
    aimed: Pass = replace(allocate, target=str(target))
    return aimed


def _share(target: Target, context: Context) -> float:
    """Return the target as a share of the original."""
    if target.relative:
        return target.amount
    meter, name = target.meter, target.quantity.name
    whole = context.whole(target)
    before = context.device(name).times([whole])[0] if meter is None else meter.of(whole)
    return target.budget(before) / before


def _slower(seen: Comparison) -> bool:
    """Whether the model takes longer than the original, beyond noise."""
    return seen.differs and seen.ratio.middle > 1
