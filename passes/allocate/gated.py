"""``allocation=gates``: channels and widths by residual gates that are trained within the budget.

After Huang et al. (AFCP, IEEE TCAD 2022). What gates say is written as a ranking: a channel costs the price of what it
takes, times the odds that it stays, so that any choice of widths near the budget follows from it, such as multiples.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ...ir.graph import Array
from ..analysis.channels.groups import Group
from ..analysis.channels.ranking import GroupRanking, Ranking, rounds_by_cost
from ..analysis.statistics.gate_training import Goal, gate_costs, standin_costs
from ..base import Context
from .combined import by_error
from .curves import moments_of
from .problem import Problem


def gated(task: Problem, context: Context, curves: Sequence[Array]) -> Ranking:
    """Train gates from the choice that ``curves`` (width + 1,) lead to; return the task's groups ranked by them.

    Raises UnsupportedOpError at a node without a gradient.
    """
    ranking, view = task.ranking, context.view(task.graph)
    choice = by_error(task, curves)
    kept = (task.least() if choice is None else choice)[: len(task.groups)].astype(np.int64).tolist()
    free = [(group, stay) for group, stay in zip(task.groups, kept, strict=True) if group.name in ranking.groups]
    start = {group.name: (ranking.groups[group.name], group.width - stay) for group, stay in free}
    if not start:
        return ranking
    goal = Goal(task.groups, start, task.modelled, task.budget, ranking.droppable)

    def trained() -> dict[str, Array]:
        context.progress("training gates", 0.0)
        costs = standin_costs(view, [group for group, _ in free], moments_of(context, task))
        return {"costs": gate_costs(view, goal, costs, context.fitting(), context.runner)}

    orders = [[each.order, gone] for each, gone in start.values()]
    marginal = goal.marginal(np.array(kept), ranking.channels.context.registry_size())
    depends = [orders, sorted(ranking.droppable), task.budget, marginal]
    costs = context.remember("gates", task.graph, depends, trained)["costs"]
    return replace(ranking, criterion="gates", groups={group.name: _ranked(group, costs) for group, _ in free})


def _ranked(group: Group, costs: Array) -> GroupRanking:
    """Rank a group by what its classes cost."""
    units = group.cells.ravel()
    order, curve = rounds_by_cost(costs[units], len(group.cells))
    return GroupRanking(units[order], curve)
