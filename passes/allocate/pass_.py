"""``allocate``: decide how many channels each group loses so that a cost target is met at the least error."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, gcd
from typing import ClassVar

import numpy as np

from ...ir.cost import cost, total
from ...ir.errors import TargetNotMetError, UsageError
from ...ir.graph import Array, Graph
from ..analysis.channels import Channels, Group
from ..analysis.cost_terms import Product, bias_products, cost_products, evaluate
from ..analysis.outputs import judge
from ..analysis.ranking import Ranking
from ..analysis.removal import remove
from ..base import Context, Outcome
from .greedy import Cost, Term, allocate
from .probe import Probe
from .targets import Target

_TRIES = 4
_TIE_BREAK = 1e-9


@dataclass(frozen=True)
class Allocate:
    """Meet ``target``. ``align``: widths stay multiples of this many channels; ``max_ratio``: the largest share a group
    may lose; ``samples``: calibration samples on which the outputs' divergence is measured.
    """

    target: str = "macs=0.5x"
    align: int = 1
    max_ratio: float = 1.0
    samples: int = 128
    name: ClassVar[str] = "allocate"

    def run(self, graph: Graph, context: Context) -> Outcome:
        """Leave the widths in the decisions. Raises UsageError without a ranking, TargetNotMetError out of reach."""
        self._check()
        ranking: Ranking | None = context.decisions.get("ranking")
        if ranking is None:
            raise UsageError("allocate needs ranked channels", hint="put select-channels before it")
        target = Target.parse(self.target)
        before = total(cost(context.original))
        budget = target.budget(before)
        if target.measure(total(cost(graph))) <= budget:
            context.decisions["removed"] = {}
            return Outcome(False, (f"{target} is met already",))
        curves = self._curves(graph, context, ranking)
        later = bias_products(graph, ranking.channels, target.kind) if context.calibration is not None else []
        removed = self._decide(graph, ranking, curves, later, target, budget)
        context.decisions["removed"] = removed
        return Outcome(
            False, (f"widths chosen for {target}",), {"error_predicted": _predicted(ranking, curves, removed)}
        )

    def _check(self) -> None:
        if self.align < 1 or self.samples < 1:
            raise UsageError(f"align={self.align} and samples={self.samples} must be at least 1")
        if not 0 <= self.max_ratio <= 1:
            raise UsageError(f"max-ratio={self.max_ratio} is not a share between 0 and 1")

    def _curves(self, graph: Graph, context: Context, ranking: Ranking) -> list[Array]:
        """Return every group's error curve: measured with data, else the ranking's own; strictly rising either way."""
        groups = ranking.channels.groups
        curves = [_proxy(ranking, group) for group in groups]
        if context.calibration is not None:
            chosen = judge(graph, context.judging(self.samples), context.runner)
            probe = Probe.of(graph, ranking, context.decisions["moments"], chosen)
            for place, group in enumerate(groups):
                context.progress("measuring sensitivity", place / len(groups))
                if group.name in ranking.groups:
                    curves[place] = probe.curve(group)
        step = _TIE_BREAK * (max((float(curve[-1]) for curve in curves), default=0.0) or 1.0)
        return [curve + step * np.arange(len(curve)) for curve in curves]

    def _decide(
        self,
        graph: Graph,
        ranking: Ranking,
        curves: Sequence[Array],
        later: Sequence[Product],
        target: Target,
        budget: float,
    ) -> dict[str, int]:
        """Solve with the cost written over widths; check it on the really rewritten graph, plus what comes later."""
        channels = ranking.channels

        def price(kept: Array) -> float:
            pruned = graph.copy()
            remove(pruned, channels, ranking.kept(_lost(channels, kept)))
            return target.measure(total(cost(pruned))) + evaluate(later, kept)

        terms = [_term(product) for product in (*cost_products(graph, channels, target.kind), *later)]
        model = Cost.of(terms, len(channels.groups))
        minimum = [self._minimum(group, ranking) for group in channels.groups]
        step = [self._step(group) for group in channels.groups]
        aim = budget
        for _ in range(_TRIES):
            kept = allocate(curves, model, aim, minimum, step)
            if kept is None:
                break
            real = price(kept)
            if real <= budget:
                return _lost(channels, kept)
            aim -= real - budget
        least = np.minimum([group.width for group in channels.groups], -(-np.asarray(minimum) // step) * step)
        best = price(least)
        if best <= budget:
            return _lost(channels, least)
        raise TargetNotMetError(
            f"{target} cannot be reached",
            why=f"with all channels gone that may go, {best:,.0f} {target.kind} are left; the target is {budget:,.0f}",
            hint="allow more with --max-ratio or fewer --keep; `analyse` lists what is pinned and why",
        )

    def _minimum(self, group: Group, ranking: Ranking) -> int:
        if group.name not in ranking.groups:
            return group.width
        return max(1, ceil(round((1 - self.max_ratio) * group.width, 9)))

    def _step(self, group: Group) -> int:
        return min(self.align // gcd(self.align, len(group.cells)), group.width)


def _proxy(ranking: Ranking, group: Group) -> Array:
    """The ranking's own curve, over all widths; a group that is not ranked keeps everything."""
    ranked = ranking.groups.get(group.name)
    return np.asarray(ranked.curve) if ranked is not None else np.zeros(group.width + 1)


def _term(product: Product) -> Term:
    return Term(product.factor, product.left.per_unit, product.left.fixed, product.right.per_unit, product.right.fixed)


def _lost(channels: Channels, kept: Array) -> dict[str, int]:
    lost = {group.name: group.width - int(stay) for group, stay in zip(channels.groups, kept, strict=True)}
    return {name: count for name, count in lost.items() if count}


def _predicted(ranking: Ranking, curves: Sequence[Array], removed: dict[str, int]) -> float:
    names = [group.name for group in ranking.channels.groups]
    return float(sum(curve[removed.get(name, 0)] for name, curve in zip(names, curves, strict=True)))
