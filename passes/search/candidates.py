"""Plans carried out to the end, each on a copy of the graph, and what came of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ...ir.graph import Graph
from ...ir.timing import Comparison, Device
from ..analysis.statistics.judge import Judge, judge
from ..base import Context, Pass
from ..checkpoint import plan_to_json
from ..hashing import graph_digest
from ..observers import Record
from ..packed import LARGEST, Packed, packed, unpacked
from ..plan import Plan
from ..syntax import join

_SAMPLES = 128


@dataclass(frozen=True)
class Candidate:
    """A plan carried out: the graph, the plan afterwards, and what each pass did; ``note``: which of several it was."""

    graph: Graph
    plan: Plan
    records: tuple[Record, ...]
    note: str = ""

    def compared(self, device: Device, original: Graph) -> Comparison:
        """Hold it against the original where it is meant to run."""
        return device.compare(original, self.graph)


@dataclass(frozen=True)
class Evaluator:
    """Carries plans out by the passes in ``finish``. ``graph`` is what plans decide about; it stays as it is."""

    graph: Graph
    context: Context
    finish: Sequence[Pass]

    def best(self, plan: Plan) -> Candidate:
        """Carry out every alternative of a plan, and return the one whose outputs diverge least from the original's.

        They are judged on samples that no statistic has seen; without calibration data the first one is carried out.
        Raises what the passes raise.
        """
        choices = plan.alternatives or (plan.decision,)
        if len(choices) < 2 or self.context.calibration is None:
            return self.carried_out(replace(plan, decision=choices[0], alternatives=()))
        judged = self._judge()
        found = [self._kept(replace(plan, decision=one, alternatives=())) for one in choices]
        apart = [judged.of(candidate.graph) for candidate in found]
        place = int(np.argmin(apart))
        told = ", ".join(f"{value:.3g}" for value in apart)
        return replace(found[place], note=f"plan {place + 1} of {len(apart)}: divergences on samples apart are {told}")

    def carried_out(self, plan: Plan) -> Candidate:
        """Run the passes on a copy of the graph."""
        tried = self.graph.copy()
        own = replace(self.context, plan=plan, _view=None)
        records = self.context.nested(self.finish, tried, own)
        return Candidate(tried, own.plan, tuple(records))

    def _kept(self, plan: Plan) -> Candidate:
        """Carry a plan out, or take what came of it from the cache: an interrupted search goes on."""
        cache = self.context.cache
        if cache is None or not cache.lasting or self.graph.written_bytes() > LARGEST:
            return self.carried_out(plan)

        def made() -> Packed:
            found = self.carried_out(plan)
            return packed(self.graph, found.graph, found.plan, found.records)

        stands_on = [self.context.original, *([plan.reference.graph] if plan.reference else [])]
        told = [json.dumps(plan_to_json(plan)), join(self.finish), *map(graph_digest, stands_on)]
        arrays = self.context.remember("candidate", self.graph, told, made, code=self.finish)
        graph, after, records, _ = unpacked(arrays, self.graph)
        return Candidate(graph, after, records)

    def _judge(self) -> Judge:
        return judge(self.context.original, self.context.judging(_SAMPLES), self.context.runner)
