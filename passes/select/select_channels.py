"""``select-channels``: rank every group's channels by a criterion; with ``keep``, also decide how many stay."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from ...ir.errors import UsageError
from ...ir.graph import Array, Graph
from ..analysis.channels.groups import Channels, Group
from ..analysis.channels.protected import held_tensors
from ..analysis.channels.ranking import GroupRanking, Ranking
from ..analysis.channels.readers import readers
from ..analysis.statistics.input_moments import InputMoments
from ..analysis.view import View
from ..base import Context, Outcome
from ..order import ALL
from .criteria import CRITERIA, NEEDS_DATA


@dataclass(frozen=True)
class SelectChannels:
    """Rank channels. ``keep``: share of each group that stays (0: leave that to ``allocate``); ``keep_nodes``: regular
    expression of nodes or tensors whose channels all stay; ``keep_types``: operators likewise, separated by ``|``;
    ``rows``: positions that a convolution's statistics are taken from (0: a few for every input).
    """

    criterion: str = "obs"
    keep: float = 0.0
    keep_nodes: str = ""
    keep_types: str = ""
    rows: int = 0
    name: ClassVar[str] = "select-channels"
    preserves: ClassVar[frozenset[str]] = ALL

    @property
    def provides(self) -> frozenset[str]:
        """A ranking, and with ``keep`` widths."""
        return frozenset({"ranking", "widths"} if self.keep else {"ranking"})

    def run(self, graph: Graph, context: Context) -> Outcome:
        """Leave a :class:`Ranking` in the plan, and widths when ``keep`` is given. Raises UsageError."""
        if self.criterion not in CRITERIA:
            raise UsageError(f"no criterion is called '{self.criterion}'", hint=f"one of {', '.join(sorted(CRITERIA))}")
        if self.rows < 0:
            raise UsageError(f"rows={self.rows} must not be negative")
        if not 0 <= self.keep <= 1:
            raise UsageError(f"keep={self.keep} is not a share between 0 and 1")
        view = context.view(graph)
        channels = view.channels
        groups = self._free_groups(graph, channels, context.given)
        ranking = self._rank(view, context, groups)
        plan = replace(context.plan, ranking=ranking, curves={})
        if self.keep:
            widths = {g.name: g.width - max(1, round(self.keep * g.width)) for g in groups}
            plan = replace(plan, decision=replace(plan.decision, widths=widths))
        held = sum(group.width > 1 for group in channels.groups) - len(groups)
        notes = (
            f"{len(groups)} groups ranked by {ranking.criterion}",
            *([f"{held} groups kept as asked"] if held else []),
        )
        return Outcome(False, notes, {"criterion": ranking.criterion, "groups": len(groups)}, plan)

    def _rank(self, view: View, context: Context, groups: list[Group]) -> Ranking:
        graph, channels = view.graph, view.channels
        criterion = self.criterion
        if context.calibration is None and criterion in NEEDS_DATA:
            criterion = "magnitude"

        def rank() -> dict[str, Array]:
            return _scored(
                view,
                context,
                groups,
                {} if context.calibration is None else context.moments(view, self.rows),
                criterion,
            )

        arrays = context.remember("ranking", graph, [criterion, self.rows, [group.name for group in groups]], rank)
        found = {
            group.name: GroupRanking(group.cells.ravel()[arrays[f"order_{place}"]], arrays[f"curve_{place}"])
            for place, group in enumerate(groups)
        }
        return Ranking(criterion, channels, found, rows=self.rows)

    def _free_groups(self, graph: Graph, channels: Channels, given: Graph | None) -> list[Group]:
        """Leave out groups that touch a node the user wants to keep."""
        tensors = graph.tensors()
        stay = [tensors[name] for name in held_tensors(graph, self.keep_nodes, self.keep_types, given)]
        atoms = [channels.context.of(tensor).atoms.ravel() for tensor in stay]
        held = np.concatenate([np.empty(0, np.int64), *atoms])
        return [group for group in channels.groups if group.width > 1 and not np.isin(group.cells, held).any()]


def _scored(
    view: View, context: Context, groups: list[Group], moments: Mapping[str, InputMoments], criterion: str
) -> dict[str, Array]:
    """Rank every group; return its order of units and its curve under its number."""
    weights: dict[str, Array] = {}
    found, rng = dict[str, Array](), context.rng()
    for place, group in enumerate(groups):
        context.progress("ranking channels", place / len(groups))
        reading = readers(view.graph, view.channels, group, view.layers, moments, weights)
        found[f"order_{place}"], found[f"curve_{place}"] = CRITERIA[criterion](reading, group.cells.shape, rng)
    return found
