"""``allocate``: decide how many channels each group loses so that a cost target is met at the least error."""

from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar

import numpy as np

from ...ir.cost import cost, total
from ...ir.errors import UsageError
from ...ir.graph import Array, Graph
from ..analysis.blocks import droppable
from ..analysis.channels import Group
from ..analysis.forms import Offer
from ..analysis.outputs import judge
from ..analysis.ranking import Ranking
from ..analysis.readers import readers
from ..base import Context, Outcome
from .bisection import Search, fitted
from .cost_model import Floats
from .cumulative import CumulativeProbe
from .joint import Search as JointSearch
from .offered import Substitutes, sensitivities
from .overall import by_error
from .probe import Probe
from .stages import residual_stream, stages
from .targets import Target
from .task import Choice, Ints, Task, Widths
from .uniform import uniform

_TIE_BREAK = 1e-9
_METHODS = ("bisect", "global", "uniform")


@dataclass(frozen=True)
class Allocate:
    """Meet ``target``.

    ``method``: ``global`` (groups compete by error), ``uniform`` (one keep ratio), or ``bisect`` (front to back, within
    a growing share of the allowed loss). ``align``: widths stay multiples of this many channels; ``max_ratio``: the
    largest share a group may lose; ``samples``: calibration samples on which the outputs' divergence is measured.

    Of ``global``: ``blocks`` says whether all of a group may go where the network goes on without it, given calibration
    data and a ``max_ratio`` of 1. Of ``bisect``: ``probes`` a group, of which each may take at most a share
    ``step_limit`` of the group more than what has passed, in each of ``rounds`` that bisect the allowed loss.
    """

    target: str = "macs=0.5x"
    method: str = "global"
    align: int = 1
    max_ratio: float = 1.0
    samples: int = 128
    blocks: bool = True
    probes: int = 5
    step_limit: float = 0.5
    rounds: int = 6
    name: ClassVar[str] = "allocate"

    def run(self, graph: Graph, context: Context) -> Outcome:
        """Leave the widths in the decisions, and in the ranking the groups that may go entirely.

        Raises UsageError without a ranking, TargetNotMetError when the target is out of reach.
        """
        self._check(context)
        ranking: Ranking | None = context.decisions.get("ranking")
        if ranking is None:
            raise UsageError("allocate needs ranked channels", hint="put select-channels before it")
        offers: tuple[Offer, ...] = context.decisions.pop("offers", ())  # of the graph as it is now
        target = Target.parse(self.target)
        budget = target.budget(total(cost(context.original)))
        if target.measure(total(cost(graph))) <= budget:
            context.decisions["removed"], context.decisions["forms"] = {}, {}
            return Outcome(False, (f"{target} is met already",))
        measured = context.calibration is not None
        if self.method == "global" and self.blocks and self.max_ratio == 1 and measured:
            ranking = replace(ranking, droppable=droppable(graph, ranking.channels, ranking.groups))
        widths = Widths(self.align, self.max_ratio)
        if self.method != "global":
            offers = ()
        task = Task.of(graph, ranking, context.runner, target, budget, measured, widths, offers)
        task, choice, figures = self._decide(task, context)
        context.decisions["ranking"], context.decisions["removed"] = ranking, task.lost(choice)
        context.decisions["forms"] = task.forms(choice)
        return Outcome(False, (f"widths chosen for {target}",), figures)

    def _check(self, context: Context) -> None:
        if self.method not in _METHODS:
            raise UsageError(f"no method is called '{self.method}'", hint=f"one of {', '.join(_METHODS)}")
        if self.method == "bisect" and context.calibration is None:
            raise UsageError("method=bisect measures outputs, so it needs calibration data")
        least = {"align": self.align, "samples": self.samples, "probes": self.probes, "rounds": self.rounds}
        for option, value in least.items():
            if value < 1:
                raise UsageError(f"{option}={value} must be at least 1")
        if not 0 <= self.max_ratio <= 1:
            raise UsageError(f"max-ratio={self.max_ratio} is not a share between 0 and 1")
        if not 0 < self.step_limit <= 1:
            raise UsageError(f"step-limit={self.step_limit} is not a share above 0 and up to 1")

    def _decide(self, task: Task, context: Context) -> tuple[Task, Ints | Floats, dict[str, float]]:
        """Return the task, with menus of forms where there are offers, the choice, and the error expected of it."""
        if self.method == "uniform":
            return task, _settled(task, _alike(task)), {}
        if self.method == "bisect":
            return task, *self._bisected(task, context)
        curves = self._curves(task, context)
        if task.offers:
            return self._joint(task, context, curves)
        choice = _settled(task, by_error(task, curves))
        removed = task.lost(choice)
        lost = [curve[removed.get(group.name, 0)] for group, curve in zip(task.groups, curves, strict=True)]
        return task, choice, {"error_predicted": float(sum(lost))}

    def _joint(self, task: Task, context: Context, curves: list[Array]) -> tuple[Task, Ints | Floats, dict[str, float]]:
        """Choose widths and forms. Raises TargetNotMetError."""
        layers, moments = sensitivities(task, context, self.samples), context.decisions["moments"]
        chosen = judge(task.graph, context.judging(self.samples), context.runner)
        probe = CumulativeProbe.of(task.graph, task.ranking, moments, chosen)
        found = JointSearch(task, curves, layers, Substitutes(moments), chosen, probe).best()
        if found is None:
            return task, _settled(task, None), {}
        return found.task, found.choice, {"error_predicted": found.divergence}

    def _curves(self, task: Task, context: Context) -> list[Array]:
        """Return every group's error curve: measured with data, else the ranking's own; strictly rising either way."""
        curves = [_proxy(task.ranking, group) for group in task.groups]
        if context.calibration is not None:
            ranked = [group for group in task.groups if group.name in task.ranking.groups]
            rankings = [task.ranking.groups[group.name] for group in ranked]
            moments = context.decisions["moments"]
            depends = [self.samples, list(moments.key), [[r.order, r.curve] for r in rankings]]
            depends.append([group.name in task.ranking.droppable for group in ranked])
            arrays = context.remember("curves", task.graph, depends, partial(self._probed, task, context, ranked))
            numbers = {group.name: number for number, group in enumerate(ranked)}
            curves = [
                np.asarray(arrays[f"curve_{numbers[group.name]}"]) if group.name in numbers else curve
                for group, curve in zip(task.groups, curves, strict=True)
            ]
        step = _TIE_BREAK * (max((float(curve[-1]) for curve in curves), default=0.0) or 1.0)
        return [curve + step * np.arange(len(curve)) for curve in curves]

    def _probed(self, task: Task, context: Context, ranked: list[Group]) -> dict[str, Array]:
        """Measure every ranked group's curve; return it under the group's number."""
        chosen = judge(task.graph, context.judging(self.samples), context.runner)
        probe = Probe.of(task.graph, task.ranking, context.decisions["moments"], chosen)
        found = {}
        for number, group in enumerate(ranked):
            context.progress("measuring sensitivity", number / len(ranked))
            found[f"curve_{number}"] = _measured(probe, group)
        return found

    def _bisected(self, task: Task, context: Context) -> tuple[Ints, dict[str, float]]:
        chosen = judge(task.graph, context.judging(self.samples), context.runner)
        probe = CumulativeProbe.of(task.graph, task.ranking, context.decisions["moments"], chosen)
        known: dict[bytes, float] = {}
        levels = task.levels()
        most = 1 + self.rounds * self.probes * sum(len(level) > 1 for level in levels)

        def loss(kept: Ints) -> float:
            context.progress("searching widths", len(known) / most)
            if kept.tobytes() not in known:
                known[kept.tobytes()] = probe.divergence(task.lost(kept))
            return known[kept.tobytes()]

        found = Search(levels, loss, task.cost, self.probes, self.step_limit).best(task.budget, self.rounds)
        kept = None if found is None else task.meet(partial(fitted, levels, found, task.cost))
        choice = _settled(task, kept)
        return choice, {"error_predicted": probe.divergence(task.lost(choice))}


def _alike(task: Task) -> Ints | None:
    """Prune uniformly: the insides of blocks where that suffices, else the residual stream too."""
    stream = residual_stream(task.graph, task.ranking.channels)
    number = stages(task.ranking.channels, stream)
    levels = task.levels()
    inner = [level[:1] if streams else level for level, streams in zip(levels, stream.tolist(), strict=True)]
    for allowed in (inner, levels):
        kept = task.meet(partial(uniform, allowed, number, task.cost))
        if kept is not None:
            return kept
    return None


def _settled(task: Task, kept: Choice | None) -> Choice | Ints:
    """Return the widths found, else the least ones if these meet the budget. Raises TargetNotMetError."""
    if kept is not None:
        return kept
    least = task.least()
    best = task.price(least)
    if best > task.budget:
        raise task.unreachable(best)
    return least


def _measured(probe: Probe, group: Group) -> Array:
    """The probed curve; of a droppable group its end is measured too, with every reader's input at its mean."""
    curve = probe.curve(group)
    if group.name not in probe.ranking.droppable:
        return curve
    reading = readers(probe.graph, probe.ranking.channels, group, probe.layers, probe.moments, probe.weights)
    whole = probe.divergence(group, group.width, reading)
    return np.append(np.minimum(curve[:-1], whole), whole)


def _proxy(ranking: Ranking, group: Group) -> Array:
    """The ranking's own curve, over all widths; a group that is not ranked keeps everything."""
    ranked = ranking.groups.get(group.name)
    return np.asarray(ranked.curve) if ranked is not None else np.zeros(group.width + 1)
