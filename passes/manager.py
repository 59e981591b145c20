"""Runs a pipeline: checks the graph after every change, drops stale analyses, and explains failures."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..ir.errors import OptimiseOnnxError, PassError, VerificationError
from ..ir.graph import Graph
from ..ir.verify import verify
from .base import Context, Outcome, Pass
from .checkpoint import Checkpoint, reproducer
from .observers import Observer, Record
from .order import VALUES, check, check_carried_out, declared
from .pipelines import known_passes
from .plan import Plan
from .proof import prove
from .syntax import join, parse, text

_REPRODUCER = "reproducer: "
_REPORT = "our mistake: please report it, with the folder that -vv names, which runs it again"


@dataclass(frozen=True)
class PassManager:
    """A pipeline ready to run.

    ``reproducers`` is where a failure leaves its reproducer (a temporary folder by default). With ``fingerprint`` a
    pass that changes the graph and does not say so fails; this serialises the model twice a pass and is for tests.
    """

    passes: tuple[Pass, ...]
    observers: tuple[Observer, ...] = ()
    reproducers: Path | None = None
    fingerprint: bool = False

    @staticmethod
    def parse(
        pipeline: str,
        observers: Sequence[Observer] = (),
        reproducers: Path | None = None,
        given: Iterable[str] = (),
    ) -> PassManager:
        """Build a manager from ``name{option=value},name2``; ``given`` are facts of the plan that it starts with.

        Raises UsageError for what it does not know, and for passes that cannot follow each other.
        """
        steps = _read(pipeline)
        check(steps, given, _read)
        return PassManager(steps, tuple(observers), reproducers)

    def split(self, name: str) -> tuple[PassManager, PassManager]:
        """Return the passes called ``name`` at the beginning, and the others."""
        count = next((place for place, step in enumerate(self.passes) if step.name != name), len(self.passes))
        return replace(self, passes=self.passes[:count]), replace(self, passes=self.passes[count:])

    def parted(self, name: str) -> tuple[PassManager, PassManager]:
        """Return the passes before the first one called ``name``, and the others; all and none where there is none."""
        count = next((place for place, step in enumerate(self.passes) if step.name == name), len(self.passes))
        return replace(self, passes=self.passes[:count]), replace(self, passes=self.passes[count:])

    def check_carried_out(self, given: Iterable[str] = ()) -> None:
        """Raise UsageError where passes decide something that none carries out."""
        check_carried_out(self.passes, given, _read)

    def __str__(self) -> str:
        return join(self.passes)

    def run(
        self, graph: Graph, context: Context, checkpoint: Checkpoint | None = None, proven: Graph | None = None
    ) -> list[Record]:
        """Run every pass in order on ``graph``, in place, and return what each did.

        With a ``checkpoint`` the state is kept after every pass, and what was kept by an earlier run is gone on from.
        What exact passes have left, before the first that is not, is held against ``proven``.

        Raises PassError when a pass fails unexpectedly, VerificationError when it leaves a broken graph, both with
        its place and a reproducer; errors that a pass raises on purpose go through as they are.
        """
        context.executor = self
        entry = graph.copy()
        done, records = checkpoint.restore(graph, context) if checkpoint is not None else (0, list[Record]())
        proven = None if done or context.plan.reference is not None else proven  # the state is of a later step
        for place, step in enumerate(self.passes[done:], done + 1):
            if proven is not None and VALUES not in declared(step, "preserves"):
                records, proven = _proved(records, proven, graph, context), None
            before, plan = graph.copy(), context.plan
            try:
                record, inner = self._step(step, graph, context, entry)
            except OptimiseOnnxError as error:
                raise self._explained(error, place, before, plan, context) from error.__cause__
            except Exception as error:
                said = f"{type(error).__name__}: {error}".splitlines()[0]
                failed = PassError("unexpected failure", why=said, hint=_REPORT)
                raise self._explained(failed, place, before, plan, context) from error
            for observer in self.observers:
                observer.after(place, record, graph)
            records += [*inner, record]
            graph.settle()
            if checkpoint is not None:
                checkpoint.save(place, graph, context, records)
        return records if proven is None else _proved(records, proven, graph, context)

    def steps(self, pipeline: str) -> tuple[Pass, ...]:
        """Read the passes that a pass runs itself. Raises UsageError."""
        return _read(pipeline)

    def nested(self, steps: Sequence[Pass], graph: Graph, context: Context) -> list[Record]:
        """Run passes for a pass, in a pipeline of their own. Raises what they raise."""
        return replace(self, passes=tuple(steps), observers=()).run(graph, context)

    def _step(self, step: Pass, graph: Graph, context: Context, entry: Graph) -> tuple[Record, tuple[Record, ...]]:
        context.progress(step.name, 0.0)
        print_before = _fingerprint(graph) if self.fingerprint else ""
        start = time.perf_counter()
        outcome = apply(step, graph, context)
        seconds = time.perf_counter() - start
        if self.fingerprint and not outcome.changed and _fingerprint(graph) != print_before:
            raise PassError("the graph changed and the pass says it did not")
        if outcome.changed:
            verify(graph, entry)
        return _record(step, outcome, seconds), outcome.inner

    def _explained(
        self, error: OptimiseOnnxError, place: int, before: Graph, plan: Plan, context: Context
    ) -> OptimiseOnnxError:
        where = f"pass {place} of {len(self.passes)}, {text(self.passes[place - 1])}"
        if not isinstance(error, PassError | VerificationError):
            error.add_note(f"in {where}")
            return error
        if any(note.startswith(_REPRODUCER) for note in getattr(error, "__notes__", ())):
            return error  # of a pass inside this one, nearer to the cause
        folder = reproducer(self.reproducers, before, plan, context, join(self.passes[place - 1 :]))
        explained = type(error)(f"{where}: {error}")
        explained.add_note(f"{_REPRODUCER}{folder}")
        return explained


def _read(pipeline: str) -> tuple[Pass, ...]:
    return parse(pipeline, known_passes())


def apply(step: Pass, graph: Graph, context: Context) -> Outcome:
    """Run one pass on ``graph``, in place, and take what it leaves into the context."""
    check((step,), context.plan.facts)
    outcome = step.run(graph, context)
    context.take(outcome, declared(step, "preserves"))
    return outcome


def _proved(records: list[Record], before: Graph, after: Graph, context: Context) -> list[Record]:
    """Hold what exact passes have left against what they were given; the last of them says what was not compared."""
    context.progress("comparing", 0.0)
    notes = prove(before, after, context)
    if not notes or not records:
        return records
    return [*records[:-1], replace(records[-1], notes=(*records[-1].notes, *notes))]


def _record(step: Pass, outcome: Outcome, seconds: float) -> Record:
    return Record(step.name, text(step), outcome.changed, seconds, outcome.notes, outcome.figures)


def _fingerprint(graph: Graph) -> str:
    return hashlib.sha256(graph.to_model().SerializeToString(deterministic=True)).hexdigest()
