"""Several decisions carried out to the end, each on a copy, and the result kept that follows the original best."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..ir.graph import Graph
from .analysis.statistics.judge import judge
from .base import Context
from .manager import PassManager
from .observers import Record

_SAMPLES = 128


def finish(graph: Graph, context: Context, manager: PassManager) -> list[Record]:
    """Run ``manager`` on ``graph`` with every alternative that ``allocate`` has left in the decisions.

    The one stays whose outputs diverge least on the samples that statistics have not seen; without calibration data the
    first. Returns its records. Raises what the passes raise.
    """
    alternatives: Sequence[Mapping[str, Any]] = context.decisions.pop("alternatives", ())
    if len(alternatives) < 2 or context.calibration is None:
        return manager.run(graph, context)
    judged = judge(context.original, context.judging(_SAMPLES), context.runner)
    results = []
    for decisions in alternatives:
        tried = graph.copy()
        own = replace(context, decisions={**context.decisions, **decisions}, cached={})
        records = manager.run(tried, own)
        results.append((judged.of(tried), tried, own.decisions, records))
    _, best, context.decisions, records = min(results, key=lambda result: result[0])
    graph.become(best)
    context.cached.clear()
    return records
