"""The whole path from a loaded graph to a smaller one that is proved, measured and reported."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypedDict, Unpack

from ..ir.cost import Cost, cost, total
from ..ir.errors import TargetNotMetError, UnsupportedOpError, UsageError
from ..ir.feeds import Calibration
from ..ir.graph import Graph
from ..ir.runner import Runner
from ..ir.timing import latency
from ..ir.verify import verify
from ..passes.allocate.targets import Target
from ..passes.analysis.channels import Channels, analyse
from ..passes.analysis.keeping import meant
from ..passes.analysis.rules.table import RULES
from ..passes.base import Context
from ..passes.cache import DiskCache
from ..passes.decompose.families import chosen
from ..passes.manager import PassManager
from ..passes.observers import Record
from ..passes.pipelines import EXACT, FIRST, lossy_pipeline
from . import probe
from .measure import Metric, measure
from .report import PinLine, Report, pin_lines

Progress = Callable[[str, float], None]

_BENCH_SECONDS = 1.0


def silent(_text: str, _share: float) -> None:
    """Show no progress."""


class Options(TypedDict, total=False):
    """How to compress, as the fields of :class:`Settings`.

    ``criterion`` ranks channels: ``obs`` with data and ``magnitude`` without by default. ``keep`` are regular
    expressions of nodes or tensors whose channels stay, ``keep_type`` operators likewise. At most the share
    ``max_ratio`` of a group goes, and widths stay multiples of ``align``. ``strict`` refuses models with operators that
    have no rule. ``allocation`` is ``global``, ``uniform`` or ``bisect``; ``sampler`` lets layers drop channels of a
    stream that others still read. ``forms`` names families of forms that layers may take besides losing channels:
    ``stretch``, ``low-rank``, ``strided``, ``blocks``, or ``all``. With ``cache`` what was measured is kept for another
    target of the same model and data, in the folder that the variable OPTIMISE_ONNX_CACHE names or the user's cache.
    """

    criterion: str | None
    keep: Sequence[str]
    keep_type: Sequence[str]
    max_ratio: float | None
    align: int
    seed: int
    strict: bool
    allocation: str
    sampler: bool
    forms: Sequence[str]
    cache: bool


@dataclass(frozen=True)
class Settings:
    """What the user asked for: a target, and :class:`Options`."""

    target: Target
    criterion: str | None = None
    keep: Sequence[str] = ()
    keep_type: Sequence[str] = ()
    max_ratio: float | None = None
    align: int = 1
    seed: int = 0
    strict: bool = False
    allocation: str = "global"
    sampler: bool = False
    forms: Sequence[str] = ()
    cache: bool = True

    @staticmethod
    def parse(target: str | Target, **options: Unpack[Options]) -> Settings:
        """Check and gather options. Raises UsageError for a wrong target, ``max_ratio``, ``align`` or form."""
        given = Settings(target if isinstance(target, Target) else Target.parse(target), **options)
        if given.align < 1:
            raise UsageError(f"align={given.align} is no width", hint="give 1 or more")
        if given.max_ratio is not None and not 0 <= given.max_ratio <= 1:
            raise UsageError(f"max_ratio={given.max_ratio} is no share between 0 and 1")
        chosen(given.forms)
        return given


@dataclass(frozen=True)
class Rewritten:
    """A smaller graph, the cost before, what each pass did, and what had to stay."""

    graph: Graph
    before: Cost
    records: tuple[Record, ...]
    pins: tuple[PinLine, ...]


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
    records += PassManager.parse(EXACT).run(graph, context)
    channels = context.analysis("channels", lambda: analyse(graph))
    if settings.strict:
        _check_supported(graph, channels)
    target, before = settings.target, total(cost(start))
    if target.measure(total(cost(graph))) > target.budget(before):
        records += PassManager.parse(_lossy(original, graph, settings, calibration)).run(graph, context)
    verify(graph, original)
    _check_target(target, before, total(cost(graph)))
    return Rewritten(graph, before, tuple(records), pin_lines(channels))


def report(
    original: Graph,
    rewritten: Rewritten,
    settings: Settings,
    runner: Runner,
    calibration: Calibration | None,
    samples: probe.Samples | None = None,
    metric: Metric | None = None,
) -> Report:
    """Measure both models. Without ``samples`` random inputs are drawn. Raises what :func:`measure` raises."""
    before, after = runner.session(original), runner.session(rewritten.graph)
    samples = samples or probe.at_random(original, before, settings.seed)
    fidelity = measure(before, after, samples, metric)
    feeds = probe.first(original, samples)
    return Report(
        target=str(settings.target),
        before=rewritten.before,
        after=total(cost(rewritten.graph)),
        fidelity=fidelity,
        latency=latency([before, after], [feeds, feeds], _BENCH_SECONDS),
        calibration=calibration.samples if calibration else 0,
        seed=settings.seed,
        pins=rewritten.pins,
        records=rewritten.records,
    )


def _lossy(original: Graph, graph: Graph, settings: Settings, calibration: Calibration | None) -> str:
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


def _check_target(target: Target, before: Cost, after: Cost) -> None:
    reached, limit = target.measure(after), target.budget(before)
    if reached > limit:
        share = reached / max(target.measure(before), 1)
        raise TargetNotMetError(
            f"the target {target} was not met",
            why=f"{target.kind} came to {reached} ({share:.3f}x), the limit is {limit:.0f}",
        )
