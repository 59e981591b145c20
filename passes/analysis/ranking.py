"""What a criterion hands to the allocator and to removal: for each group, what goes first and what that costs."""

from dataclasses import dataclass

from ...ir.graph import Array
from .channels import Channels


@dataclass(frozen=True)
class GroupRanking:
    """``order``: (rounds, cells) class ids, the first round goes first; ``curve``: (rounds + 1,) loss from 0."""

    order: Array
    curve: Array


@dataclass(frozen=True)
class Ranking:
    """A criterion's verdict on every group of one analysed graph."""

    criterion: str
    channels: Channels
    groups: dict[str, GroupRanking]

    def kept(self, removed: dict[str, int]) -> dict[str, Array]:
        """Return the class ids that stay when each group loses its first ``removed`` rounds."""
        stays = {}
        for group in self.channels.groups:
            ranking = self.groups.get(group.name)
            count = removed.get(group.name, 0)
            if ranking is not None and count:
                gone = set(ranking.order[:count].ravel().tolist())
                stays[group.name] = group.cells.ravel()[[c not in gone for c in group.cells.ravel().tolist()]]
        return stays
