"""The whole path from a loaded graph to a smaller one that is proved, measured and reported."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from ..ir.cost import Cost, cost, total
from ..ir.errors import UnsupportedOpError, UsageError
from ..ir.feeds import Calibration
from ..ir.graph import Graph
from ..ir.quantity import LATENCY
from ..ir.runner import Runner
from ..ir.timing import Device
from ..ir.verify import verify
from ..passes.allocate.target import Target
from ..passes.analysis.channels.groups import Channels, analyse
from ..passes.analysis.channels.protected import meant
from ..passes.analysis.channels.rules.table import RULES
from ..passes.base import Context
from ..passes.cache import DiskCache
from ..passes.manager import PassManager
from ..passes.observers import Record
from ..passes.pipelines import EXACT, FIRST, lossy_pipeline
from ..passes.trials import finish
from .devices import device_of
from .report import PinLine, pin_lines
from .settings import Settings

Progress = Callable[[str, float], None]


def silent(_text: str, _share: float) -> None:
    """Show no progress."""


@dataclass(frozen=True)
class Rewritten:
    """A smaller graph, the cost before, what each pass did, and what had to stay.

    ``start``: the original with its constants folded; ``device`` tells its time; ``predicted``: the share of it that
    the choice for a target of latency was expected to take.
    """

    graph: Graph
    before: Cost
    records: tuple[Record, ...]
    pins: tuple[PinLine, ...]
    start: Graph
    device: Device
    predicted: float | None = None


def baseline(graph: Graph, runner: Runner) -> Graph:
    """Return a copy with its constants folded: costs before count from here, where every shape and weight is known."""
    folded = graph.copy()
    PassManager.parse(FIRST).run(folded, Context(runner, graph))
    return folded


def rewrite(
    original: Graph,
    settings: Settings,
    calibration: Calibration | None,
    runner: Runner,
    progress: Progress,
) -> Rewritten:
    """Run the exact passes, then the lossy ones, on a copy of ``original``.

    Raises UsageError when ``keep`` or ``keep_type`` matches nothing, TargetNotMetError, UnsupportedOpError under
    ``strict``, and whatever a pass raises.
    """
    _check_keep(original, settings)
    graph = original.copy()
    cache = DiskCache.default() if settings.cache else None
    context = Context(runner, original, calibration, settings.seed, progress=progress, cache=cache)
    records = PassManager.parse(FIRST).run(graph, context)
    context.original = start = graph.copy()
    context.device = device = device_of(settings, start)
    records += PassManager.parse(EXACT).run(graph, context)
    channels = context.analysis("channels", lambda: analyse(graph))
    if settings.strict:
        _check_supported(graph, channels)
    deciding, doing = _lossy(original, graph, settings, calibration)
    if not _met(settings.target, start, graph):
        records += PassManager.parse(deciding).run(graph, context)
        records += finish(graph, context, PassManager.parse(doing))
    verify(graph, original)
    predicted = context.decisions.get("figures", {}).get("latency_predicted")
    return Rewritten(graph, total(cost(start)), tuple(records), pin_lines(channels), start, device, predicted)


def _met(target: Target, before: Graph, now: Graph) -> bool:
    """Whether a target that is counted is met; one that is measured is left to the passes."""
    return target.meter is not None and target.meter.of(now) <= target.budget(target.meter.of(before))


def _lossy(original: Graph, graph: Graph, settings: Settings, calibration: Calibration | None) -> tuple[str, str]:
    return lossy_pipeline(
        str(settings.target),
        criterion=settings.criterion or ("magnitude" if calibration is None else "obs"),
        keep_nodes="|".join(f"(?:{pattern})" for pattern in _still_there(original, graph, settings)),
        keep_types="|".join(settings.keep_type),
        allocation=settings.allocation,
        align=settings.align,
        max_ratio=settings.max_ratio,
        sampler=settings.sampler,
        forms=tuple(settings.forms),
        only_faster=settings.target.quantity == LATENCY and settings.latency_command is None,
        partial=settings.allow_partial,
    )


def _check_keep(graph: Graph, settings: Settings) -> None:
    for pattern in settings.keep:
        if not _matches(graph, pattern):
            raise UsageError(f"--keep '{pattern}' matches no node and no tensor", hint="analyse lists their names")
    ops = {node.op for node in graph.nodes}
    for op in settings.keep_type:
        if op not in ops:
            raise UsageError(f"--keep-type '{op}' matches no node", hint=f"the model has {', '.join(sorted(ops))}")


def _matches(graph: Graph, pattern: str) -> list[str]:
    return [tensor.name for tensor in meant(graph, pattern)]


def _still_there(original: Graph, graph: Graph, settings: Settings) -> list[str]:
    """Return the ``keep`` patterns, and by name the tensors whose own nodes the exact passes have folded."""
    names = graph.tensors().keys()
    meant, reached = (
        {tensor for pattern in settings.keep for tensor in _matches(each, pattern)}
        | {t.name for node in each.nodes if node.op in settings.keep_type for t in node.outputs}
        for each in (original, graph)
    )
    folded = sorted((meant & names) - reached)
    return [*(p for p in settings.keep if _matches(graph, p)), *(f"^{re.escape(name)}$" for name in folded)]


def _check_supported(graph: Graph, channels: Channels) -> None:
    nodes = {node.name: node for node in graph.nodes}
    for _, pin in channels.pins:
        node = nodes[pin.node]
        if node.op not in RULES or node.domain or node.has_subgraphs:
            raise UnsupportedOpError(
                "the channel analysis has no rule", node_name=pin.node, op_type=pin.op, why=pin.why, hint=pin.hint
            )
