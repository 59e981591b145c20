"""What gates are trained towards where no target is known: half of a network's MACs."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from ....ir.graph import Array, Graph
from ..channels.groups import Channels
from ..channels.ranking import GroupRanking, rounds_by_cost
from ..costs.products import evaluate
from ..costs.sums import MACS
from .gate_training import Goal

_SHARE = 0.5


def halved(graph: Graph, channels: Channels, costs: Mapping[str, Array]) -> Goal:
    """Aim at half of the MACs; at first every group goes without half of its channels.

    ``costs`` (units,) of groups by name: what goes first. Raises UnsupportedOpError for MACs that cannot be told.
    """
    start = {}
    for group in channels.groups:
        if group.name in costs:
            order, curve = rounds_by_cost(costs[group.name], len(group.cells))
            start[group.name] = GroupRanking(group.cells.ravel()[order], curve), group.width // 2
    cost = partial(evaluate, MACS.products(graph, channels))
    return Goal(channels.groups, start, cost, _SHARE * MACS.of(graph))
