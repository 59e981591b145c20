"""Allocation of time: widths at the edges that a device's staircase has, checked end to end on the device."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from ...ir.errors import TargetNotMetError
from ...ir.graph import Array, Graph
from ...ir.timing import Device
from ..analysis.costs.target import Target
from ..base import Context
from .combined import branches_at, by_error, one_by_one
from .cost_model import Floats
from .latency_model import LatencyModel, rewritten
from .measured_search import Candidate, search
from .problem import Ints, Problem

Choose = Callable[[Problem], Ints | Floats | None]

_EMPTIED = (1.0, 0.5, 0.2)
_MARGIN = 0.98  # aimed at, since what is chosen is measured again in the end


@dataclass(frozen=True)
class Limit:
    """``share`` of the ``original``'s time on the ``device`` that ``target`` allows.

    ``now``: the share that the network takes before any channel goes.
    """

    target: Target
    device: Device
    original: Graph
    share: float
    now: float

    @staticmethod
    def of(target: Target, context: Context, graph: Graph) -> "Limit | None":
        """Measure the original and the graph as it is; None where that is in time already. Raises UsageError."""
        device = context.device(target.quantity.name)
        whole = context.whole(target)
        before, now = device.times([whole, graph])
        share = target.budget(before) / before
        if now <= share * before:
            return None
        return Limit(target, device, whole, share, now / before)

    def figures(self, found: Candidate[Floats]) -> dict[str, float]:
        """Say what was expected and what was seen, as shares of the original's time."""
        return {"latency_predicted": found.predicted, "latency_measured": found.measured}

    def missed(self, best: float, forms: bool) -> TargetNotMetError:
        """Say what can be reached; ``forms``: whether layers might have taken other forms, too."""
        name = self.target.quantity.name
        why = f"the least {name} that was found is {best:.3f} of the original's; the target is {self.share:.3f}"
        more = "" if forms else "--forms all lets layers change as well; "
        hint = f"{more}--allow-partial writes that; `analyse` lists what is pinned and why"
        return TargetNotMetError(f"{self.target} cannot be reached", why=why, hint=hint)


def timed(task: Problem, clock: LatencyModel, limit: Limit) -> Problem:
    """Give a task widths at the edges of the staircase, if there is one, and a budget as the clock's timer tells it."""
    budget = limit.share * clock.meter.of(task.graph) / limit.now
    stairs = clock.stairs(task) if limit.device.separable else ()
    return replace(task, stairs=stairs, budget=budget, measured=True)


def alternatives(task: Problem, curves: Sequence[Array], limit: Limit) -> list[Candidate[Floats]]:
    """Return choices with little error, of those measured to be in time, the least first; else the quickest.

    Errors of a block that goes add up less than those of lost channels, by how much differs: so the ends of curves
    that lead to nothing count in full, half, and a fifth, and each weight leads to a choice of its own.
    """
    found: dict[bytes, Candidate[Floats]] = {}
    for weight in _EMPTIED if len(task.droppable) else _EMPTIED[:1]:
        best = sought(task, curves, limit, partial(by_error, curves=branches_at(weight, task, curves)))
        found.setdefault(best.choice.tobytes(), best)
    within = [one for one in found.values() if one.measured <= limit.share]
    return sorted(within, key=lambda one: one.error) or sorted(found.values(), key=lambda one: one.measured)[:1]


def sought(task: Problem, curves: Sequence[Array], limit: Limit, choose: Choose) -> Candidate[Floats]:
    """Return of what a method chooses at several budgets the choice with the least error that is measured to be in
    time, else the quickest.
    """
    propose = partial(_propose, task, limit, curves, choose)
    return search(_MARGIN * limit.share, propose, partial(_measure, task, limit))


def _propose(
    task: Problem, limit: Limit, curves: Sequence[Array], choose: Choose, share: float
) -> tuple[Floats, float, float]:
    whole = task.budget / limit.share
    tried = replace(task, budget=share * whole)
    found = choose(tried)
    least: Floats = np.append(task.least(), np.ones(len(task.menus)))
    choice: Floats = least if found is None else found.astype(np.float64)
    return choice, tried.price(choice) / whole, sum(one_by_one(task, curves, choice))


def _measure(task: Problem, limit: Limit, choices: Sequence[Floats]) -> list[float]:
    graphs = [rewritten(task.pruned(choice), task.forms(choice)) for choice in choices]
    before, *times = limit.device.times([limit.original, *graphs])
    return [time / before for time in times]
