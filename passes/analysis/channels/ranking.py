"""What a criterion hands to the allocator and to removal: for each group, what goes first and what that costs."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ....ir.graph import Array
from .groups import Channels
from .removal import keep_mask


@dataclass(frozen=True)
class GroupRanking:
    """``order``: (rounds, cells) class ids, the first round goes first; ``curve``: (rounds + 1,) loss from 0."""

    order: Array
    curve: Array


@dataclass(frozen=True)
class Ranking:
    """A criterion's verdict on every group of one analysed graph; the ``droppable`` may lose all their channels.

    ``rows``: how many positions the statistics of a convolution were taken from, 0 for a few for every input.
    """

    criterion: str
    channels: Channels
    groups: dict[str, GroupRanking]
    droppable: frozenset[str] = frozenset()
    rows: int = 0

    def kept(self, removed: Mapping[str, int]) -> dict[str, Array]:
        """Return the class ids that stay when each group loses its first ``removed`` rounds."""
        stays = {}
        for group in self.channels.groups:
            ranking = self.groups.get(group.name)
            count = removed.get(group.name, 0)
            if ranking is not None and count:
                units = group.cells.ravel()
                stays[group.name] = units[~np.isin(units, ranking.order[:count])]
        return self._whole_where_needed(stays)

    def _whole_where_needed(self, stays: dict[str, Array]) -> dict[str, Array]:
        """Leave a group whole when its choice would empty some tensor that consists of a part of its channels."""
        keep = keep_mask(self.channels, stays)
        cells = [g.cells.ravel() for g in self.channels.groups if g.name in self.droppable and not keep[g.cells].any()]
        dropped = np.concatenate([np.empty(0, np.int64), *cells])
        floors = (floor for floor in self.channels.floors if not np.isin(floor, dropped).all())
        emptied = [floor for floor in floors if not keep[floor].any()]
        bad = np.concatenate([np.empty(0, np.int64), *emptied])
        whole = {group.name for group in self.channels.groups if np.isin(bad, group.cells).any()}
        return {name: classes for name, classes in stays.items() if name not in whole}


def rounds_by_cost(costs: Array, cells: int) -> tuple[Array, Array]:
    """Order units cheapest first within each cell; return (rounds, cells) unit numbers and the (rounds + 1,) curve.

    ``costs`` is (cells * width,), cell by cell. Ties go to the higher number, so that low indices stay.
    """
    table = costs.reshape(cells, -1)
    order = np.argsort(table[:, ::-1], axis=1, kind="stable")
    order = table.shape[1] - 1 - order
    sorted_costs = np.take_along_axis(table, order, 1).sum(0)
    numbers = order + np.arange(cells)[:, None] * table.shape[1]
    return numbers.T, np.concatenate([[0.0], np.cumsum(sorted_costs)])
