"""``search``: the profile that ``allocate`` chooses, bettered by an evolution of whole profiles.

Errors that ``allocate`` adds up are of groups alone. Here every candidate, widths and forms of all groups, is measured
with all its changes at once, on samples that the repair is fitted to. Others decide which of both is carried out.
"""

from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import ClassVar

import numpy as np

from ...ir.errors import UsageError
from ...ir.graph import Graph
from ..analysis.costs.sums import PARAMS
from ..analysis.statistics.judge import judge
from ..base import Context, Outcome
from ..order import ALL
from .allocate import Allocate
from .combined import by_error
from .cost_model import Floats, Ints
from .cumulative import CumulativeProbe
from .curves import moments_of
from .decided import Decided
from .evolution import Evolution
from .form_sensitivity import Substitutes
from .problem import Problem, Widths
from .widths_and_forms import together

_AROUND = (0.9, 0.95, 0.98)  # of the budget: what the allocator chooses there seeds the search too


@dataclass(frozen=True)
class Search:
    """Meet ``target`` as ``allocate`` does, then search from there: ``population`` profiles, ``generations`` times.

    NSGA-II (see :mod:`.evolution`) minimises divergence, cost and parameters. ``samples``: how many samples of those
    that layers are fitted to measure a profile; ``align``, ``max_ratio`` and ``allow_partial`` as of ``allocate``.
    """

    target: str = "macs=0.5x"
    population: int = 32
    generations: int = 30
    samples: int = 128
    align: int = 1
    max_ratio: float = 1.0
    allow_partial: bool = False
    name: ClassVar[str] = "search"
    needs: ClassVar[frozenset[str]] = frozenset({"ranking"})
    provides: ClassVar[frozenset[str]] = frozenset({"widths"})
    preserves: ClassVar[frozenset[str]] = ALL - {"offers"}

    def run(self, graph: Graph, context: Context) -> Outcome:
        """Leave both decisions in the plan. Raises UsageError without calibration data, TargetNotMetError."""
        if context.calibration is None:
            raise UsageError("search measures outputs, so it needs calibration data", hint="give --data")
        if min(self.population, self.generations, self.samples) < 1:
            raise UsageError("population, generations and samples must be at least 1")
        allocate = Allocate(self.target, align=self.align, max_ratio=self.max_ratio, allow_partial=self.allow_partial)
        decided = allocate.decided(graph, context)
        if not decided:
            return allocate.outcome(context.plan, decided)
        found = _Profiles.of(decided[0], context, self.samples).searched(self, context)
        if found is None:
            outcome = allocate.outcome(context.plan, decided)
            return replace(outcome, notes=(*outcome.notes, "the search found nothing better than where it began"))
        return allocate.outcome(context.plan, [found, *decided])


@dataclass(frozen=True)
class _Profiles:
    """The profiles around a decision: levels of each group, then of each layer whose form may change.

    Groups that are gone there stay gone, and the others keep something.
    """

    seed: Decided
    probe: CumulativeProbe
    substitutes: Substitutes

    @staticmethod
    def of(seed: Decided, context: Context, samples: int) -> "_Profiles":
        task = seed.task
        moments = moments_of(context, task)
        judged = judge(task.graph, context.fitting().head(samples), context.runner)
        return _Profiles(seed, CumulativeProbe.of(task.graph, task.ranking, moments, judged), Substitutes(moments))

    @property
    def task(self) -> Problem:
        return self.seed.task

    @cached_property
    def levels(self) -> list[Floats]:
        """What each variable may be, ascending."""
        groups = [
            np.zeros(1) if not stays else level[::-1].astype(np.float64)
            for level, stays in zip(self.task.levels(), self.seed.choice.tolist(), strict=False)
        ]
        return [*groups, *(np.sort(np.unique(menu.shares)) for menu in self.task.menus)]

    @cached_property
    def size(self) -> Problem:
        """The task that counts parameters."""
        task = self.task
        return Problem.of(task.graph, task.ranking, task.runner, PARAMS, 0.0, False, Widths(1, 1.0))

    def searched(self, given: Search, context: Context) -> Decided | None:
        """Return the best profile found, None where that is the seed."""
        counts = np.array([len(level) for level in self.levels])
        evolution = Evolution(
            counts, self._cost, self._error, given.population, given.generations,
            partial(context.progress, "searching profiles"),
        )  # fmt: skip
        seeds = self._seeds()
        before = evolution.judged(seeds[0])
        best = evolution.best(seeds, context.rng())
        if best is None or evolution.judged(best) >= before:
            return None
        error = evolution.judged(best)[0]
        figures = self.seed.figures | {"error_predicted": error, "error_before_search": before[0]}
        note = f"a search of {len(evolution.known)} profiles took the divergence from {before[0]:.3g} to {error:.3g}"
        note += "; plan 1 is what it found, the others are the allocator's"
        return Decided(self.task, self._choice(best), figures, self.seed.curves, note)

    def _seeds(self) -> Ints:
        """Return the decision, and what the allocator chooses for somewhat less, (S, V)."""
        choices = [self.seed.choice]
        for part in _AROUND:
            tried = by_error(replace(self.task, budget=part * self.task.budget), self.seed.curves)
            choices += [] if tried is None else [tried]
        rows = [
            [int(np.abs(level - value).argmin()) for level, value in zip(self.levels, self._full(choice), strict=True)]
            for choice in choices
        ]
        return np.array(rows, np.int64)

    def _full(self, choice: Ints | Floats) -> list[float]:
        """Fill a choice of widths up: layers that nothing is said about keep their form."""
        return [*choice.astype(np.float64).tolist(), *[1.0] * (len(self.levels) - len(choice))]

    def _choice(self, levels: Ints) -> Floats:
        return np.array([level[place] for level, place in zip(self.levels, levels.tolist(), strict=True)])

    def _cost(self, levels: Ints) -> tuple[float, float]:
        task, choice = self.task, self._choice(levels)
        groups = choice[: len(task.groups)].astype(np.int64)
        cost = task.cost(choice) if task.measured else task.price(choice)
        return cost / task.budget, self.size.modelled(groups)

    def _error(self, levels: Ints) -> float:
        choice = self._choice(levels)
        forms = together(self.task, choice, self.substitutes, self.probe.judge) if self.task.menus else 0.0
        return self.probe.divergence(self.task.lost(choice)) + forms
