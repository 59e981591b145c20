"""``allocate``: decide how many channels each group loses so that a cost target is met at the least error."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import ClassVar

from ...ir.errors import TargetNotMetError, UsageError
from ...ir.graph import Array, Graph
from ..analysis.channels.branches import droppable
from ..analysis.channels.ranking import Ranking
from ..analysis.costs.target import Target
from ..analysis.layers.forms import Offer
from ..analysis.statistics.judge import judge
from ..base import Context, Outcome
from ..order import ALL
from ..plan import Decision, Plan
from .alike import alike, published
from .bisection import WidthSearch, fitted
from .by_score import by_score, priced
from .combined import branches_at, by_error, one_by_one
from .conditional import by_policy
from .cost_model import Floats
from .cumulative import CumulativeProbe
from .curves import error_curves, moments_of, own_curves, scored, thinned
from .decided import Decided
from .form_sensitivity import Substitutes, sensitivities
from .gated import gated
from .latency_limit import Limit, alternatives, sought, timed
from .latency_model import LatencyModel, rewritten
from .multiples import Priced, paying
from .problem import Choice, Ints, Problem, Widths
from .widths_and_forms import Chosen, JointSearch

_BLOCKS = 0.5  # ResNet-56: as accurate as 1 at any ratio, and quicker; 0.2 is less accurate
GATES, GLOBAL, GREEDY, POLICY = "gates", "global", "greedy", "policy"
_ALIKE = {"ucp": published, "uniform": alike}
_METHODS = ("bisect", GATES, GLOBAL, GREEDY, POLICY, *_ALIKE)
_ONLY_GLOBAL = "no form is chosen: only allocation=global weighs them"
_WITHOUT_DATA = "gates are trained on calibration data; without, groups compete by the ranking's own errors"


@dataclass(frozen=True)
class Allocate:
    """Meet ``target``. What is measured is what the context's device says.

    ``allocation``: ``global`` (groups compete by error), ``gates`` (trained from there, they choose channels too; as
    ``global`` without calibration data), ``greedy`` (the least score of the ranking for what is saved ``per`` quantity
    goes first; ``none``: the least score), ``policy`` (learned once for all targets), ``uniform`` (one keep ratio),
    ``ucp`` (as that paper's code: streams of basic blocks by one ratio, others by a threshold of their scores), or
    ``bisect`` (front to back, within a growing share of the allowed loss). ``align``: widths stay multiples of this
    many channels, or with 0 of what pays on the device, finer ones where those take more than is asked for and the time
    does not pay for it; ``max_ratio``: the largest share a group may lose; ``samples``: calibration samples that the
    outputs' divergence is measured on; ``allow_partial``: where the target is out of reach, go as far as possible.

    Of ``global``: ``branches`` says whether all of a group may go where the network goes on without it, given
    calibration data and a ``max_ratio`` of 1. Of ``bisect``: ``probes`` a group, of which each may take at most a share
    ``step_limit`` of the group more than what has passed, in each of ``rounds`` that bisect the allowed loss.
    """

    target: str = "macs=0.5x"
    allocation: str = "global"
    per: str = "activations"
    align: int = 1
    max_ratio: float = 1.0
    samples: int = 128
    branches: bool = True
    probes: int = 5
    step_limit: float = 0.5
    rounds: int = 6
    allow_partial: bool = False
    name: ClassVar[str] = "allocate"
    needs: ClassVar[frozenset[str]] = frozenset({"ranking"})
    provides: ClassVar[frozenset[str]] = frozenset({"widths"})
    preserves: ClassVar[frozenset[str]] = ALL - {"offers"}

    def run(self, graph: Graph, context: Context) -> Outcome:
        """Leave the widths and forms in the plan, and in its ranking the groups that may go entirely.

        Raises TargetNotMetError when the target is out of reach.
        """
        if self.allocation == GATES and context.calibration is None:
            found = replace(self, allocation=GLOBAL).run(graph, context)
            return replace(found, notes=(*found.notes, _WITHOUT_DATA))
        return self.outcome(context.plan, self.decided(graph, context))

    def decided(self, graph: Graph, context: Context) -> list[Decided]:
        """Return what meets the target, the best first; nothing where it is met already. Raises TargetNotMetError."""
        self._check(context)
        plan, ranking = context.plan, context.plan.ranking
        assert ranking is not None  # the manager has checked what the pass needs
        offers = (plan.offers or ()) if self.allocation == GLOBAL else ()
        target = Target.parse(self.target)
        competing = self.allocation in (GATES, GLOBAL)
        if competing and self.branches and self.max_ratio == 1 and context.calibration is not None:
            ranking = replace(ranking, droppable=droppable(graph, ranking.channels, ranking.groups))
        decide = self._in_time if target.meter is None else self._within
        return decide(graph, context, ranking, target, offers)

    def outcome(self, plan: Plan, decided: Sequence[Decided]) -> Outcome:
        """Leave decisions in the plan, the first one to be carried out and the others beside it."""
        target, ranking = Target.parse(self.target), plan.ranking
        alternatives = tuple(_as_offered(one.decision, plan) for one in decided)
        chosen = alternatives[0] if alternatives else _as_offered(Decision({}, {}), plan)
        curves = decided[0].sensitivities if decided else {}
        ranking = decided[0].task.ranking if decided else ranking
        plan = replace(plan, ranking=ranking, offers=None, curves=curves, decision=chosen, alternatives=alternatives)
        if not decided:
            return Outcome(False, (f"{target} is met already",), plan=plan)
        unused = [_ONLY_GLOBAL] if plan.offers and self.allocation != GLOBAL else []
        notes = (f"widths chosen for {target}", *filter(None, (one.note for one in decided)), *unused)
        return Outcome(False, notes, {**chosen.figures, "sensitivities": thinned(curves, chosen.widths or {})}, plan)

    def _check(self, context: Context) -> None:
        if self.allocation not in _METHODS:
            raise UsageError(f"no allocation is called '{self.allocation}'", hint=f"one of {', '.join(_METHODS)}")
        if self.allocation == "bisect" and context.calibration is None:
            raise UsageError("allocation=bisect measures outputs, so it needs calibration data")
        if self.align < 0:
            raise UsageError(f"align={self.align} is no width", hint="give 1 or more, or 0 for what pays on the device")
        least = {"samples": self.samples, "probes": self.probes, "rounds": self.rounds}
        for option, value in least.items():
            if value < 1:
                raise UsageError(f"{option}={value} must be at least 1")
        if not 0 <= self.max_ratio <= 1:
            raise UsageError(f"max-ratio={self.max_ratio} is not a share between 0 and 1")
        if not 0 < self.step_limit <= 1:
            raise UsageError(f"step-limit={self.step_limit} is not a share above 0 and up to 1")

    def _within(
        self, graph: Graph, context: Context, ranking: Ranking, target: Target, offers: tuple[Offer, ...]
    ) -> "list[Decided]":
        """Meet a target that is counted; return nothing where it is met already."""
        meter = target.meter
        assert meter is not None
        budget = target.budget(meter.of(context.whole(target)))
        if meter.of(graph) <= budget:
            return []
        solved = context.calibration is not None

        def asked(by: Ranking, widths: Widths) -> Problem:
            return Problem.of(graph, by, context.runner, meter, budget, solved, widths, offers)

        ranked = self._ranked(asked(ranking, Widths(1, self.max_ratio)), context)
        task = cache(partial(asked, ranked))

        if self.align:
            return [self._counted(task(Widths(self.align, self.max_ratio)), context)]
        decide = cache(lambda widths: replace(self, allow_partial=True)._counted(task(widths), context))

        def price(widths: Widths) -> Priced:
            one = decide(widths)
            return one.task.price(one.choice) / budget, rewritten(one.task.pruned(one.choice), one.decision.forms or {})

        device = context.device("latency")
        widths, note = paying(Widths(device.multiple(), self.max_ratio, halved=True), price, device)
        if price(widths)[0] > 1 and not self.allow_partial:
            return [self._counted(task(widths), context)]  # says why it cannot be reached
        return [replace(decide(widths), note=note)]

    def _counted(self, task: Problem, context: Context) -> Decided:
        """Choose widths, and forms where some are offered, for a target that is counted. Raises TargetNotMetError."""
        if self.allocation in _ALIKE:
            return Decided(task, self._settled(task, _ALIKE[self.allocation](task)), {})
        if self.allocation == GREEDY:
            return Decided(task, self._settled(task, by_score(task, priced(self.per, task, context))), {})
        if self.allocation == "bisect":
            return self._bisected(task, context)
        curves = self._curves(task, context)
        if task.offers:
            return self._joint(task, context, curves)
        choice: Ints | Floats
        if self.allocation == POLICY:
            choice = self._settled(task, by_policy(task, curves, context))
        else:
            choice = self._settled(task, by_error(task, branches_at(_BLOCKS, task, curves)))
        return Decided(task, choice, {"error_predicted": sum(one_by_one(task, curves, choice))}, curves)

    def _in_time(
        self, graph: Graph, context: Context, ranking: Ranking, target: Target, offers: tuple[Offer, ...]
    ) -> "list[Decided]":
        """Meet a target that is measured; return nothing where it is met already, else what is worth finishing."""
        if self.allocation not in (GATES, GLOBAL, GREEDY):
            raise UsageError(
                f"allocation={self.allocation} knows no {target.quantity.name}", hint="use allocation=global"
            )
        limit = Limit.of(target, context, graph)
        if limit is None:
            return []
        tread = self.align if self.align > 1 else limit.device.multiple()
        clock = LatencyModel(graph, ranking, context.runner, limit.device, tread, context.progress)
        widths, solved = Widths(tread, self.max_ratio, halved=self.align == 0), context.calibration is not None
        plain = timed(Problem.of(graph, ranking, context.runner, clock.meter, 0.0, solved, widths), clock, limit)
        if self.allocation == GREEDY:
            found = self._greedily(plain, context, limit)
        else:
            found = self._globally(replace(plain, ranking=self._ranked(plain, context)), context, limit, clock, offers)
        distinct = {repr((one.decision.widths, one.decision.forms)): one for one in reversed(found)}
        kept = sorted(distinct.values(), key=lambda one: one.figures["error_predicted"])
        within = [one for one in kept if one.figures["latency_measured"] <= limit.share]
        quickest = min(kept, key=lambda one: one.figures["latency_measured"])
        if not within and not self.allow_partial:
            raise limit.missed(quickest.figures["latency_measured"], bool(offers))
        return within or [quickest]

    def _ranked(self, task: Problem, context: Context) -> Ranking:
        """Return the task's ranking, by trained gates where these are asked for."""
        if self.allocation != GATES:
            return task.ranking
        return gated(task, context, error_curves(task, context, self.samples))

    def _curves(self, task: Problem, context: Context) -> list[Array]:
        """Return what groups compete by."""
        return own_curves(task) if self.allocation == GATES else error_curves(task, context, self.samples)

    def _greedily(self, plain: Problem, context: Context, limit: Limit) -> list[Decided]:
        choose = partial(by_score, price=priced(self.per, plain, context))
        return [Decided.of(plain, sought(plain, scored(plain), limit, choose), limit, [])]

    def _globally(
        self, plain: Problem, context: Context, limit: Limit, clock: LatencyModel, offers: tuple[Offer, ...]
    ) -> list[Decided]:
        curves, tasks = self._curves(plain, context), [plain]
        if offers:
            meter = clock.with_forms(offers) if limit.device.separable else clock.meter
            solved, widths = context.calibration is not None, Widths(clock.tread, self.max_ratio, self.align == 0)
            task = Problem.of(plain.graph, plain.ranking, context.runner, meter, plain.budget, solved, widths, offers)
            joint = self._searched(replace(task, stairs=plain.stairs, measured=True), context, curves)
            tasks += [joint.task] if joint is not None else []
        return [Decided.of(each, one, limit, curves) for each in tasks for one in alternatives(each, curves, limit)]

    def _joint(self, task: Problem, context: Context, curves: list[Array]) -> Decided:
        """Choose widths and forms. Raises TargetNotMetError."""
        found = self._searched(task, context, curves)
        if found is None:
            return Decided(task, self._settled(task, None), {}, curves)
        return Decided(found.task, found.choice, {"error_predicted": found.divergence}, curves)

    def _searched(self, task: Problem, context: Context, curves: list[Array]) -> Chosen | None:
        layers, moments = sensitivities(task, context, self.samples), moments_of(context, task)
        chosen = judge(task.graph, context.judging(self.samples), context.runner)
        probe = CumulativeProbe.of(task.graph, task.ranking, moments, chosen)
        context.progress("choosing widths and forms", 0.0)
        return JointSearch(task, curves, layers, Substitutes(moments), chosen, probe).best()

    def _bisected(self, task: Problem, context: Context) -> Decided:
        chosen = judge(task.graph, context.judging(self.samples), context.runner)
        probe = CumulativeProbe.of(task.graph, task.ranking, moments_of(context, task), chosen)
        known: dict[bytes, float] = {}
        levels = task.levels()
        most = 1 + self.rounds * self.probes * sum(len(level) > 1 for level in levels)

        def loss(kept: Ints) -> float:
            context.progress("searching widths", len(known) / most)
            if kept.tobytes() not in known:
                known[kept.tobytes()] = probe.divergence(task.lost(kept))
            return known[kept.tobytes()]

        found = WidthSearch(levels, loss, task.modelled, self.probes, self.step_limit).best(task.budget, self.rounds)
        kept = None if found is None else task.meet(partial(fitted, levels, found, task.modelled))
        choice = self._settled(task, kept)
        return Decided(task, choice, {"error_predicted": probe.divergence(task.lost(choice))})

    def _settled(self, task: Problem, kept: Choice | None) -> Choice | Ints:
        """Return the widths found, else the least ones if these meet the budget. Raises TargetNotMetError."""
        if kept is not None:
            return kept
        least = task.least()
        best = task.price(least)
        if best > task.budget and not self.allow_partial:
            said = Target.parse(self.target).quantity.said
            left = f"{said(best)} are left; the target is {said(task.budget)}"
            raise TargetNotMetError(
                f"{self.target} cannot be reached",
                why=f"with all channels gone that may go, {left}",
                hint="raise --max-ratio, keep fewer nodes, or give --allow-partial; `analyse` lists what is pinned",
            )
        return least


def _as_offered(decision: Decision, plan: Plan) -> Decision:
    """Decide on forms only where some were offered."""
    return decision if plan.offers is not None else replace(decision, forms=None)
