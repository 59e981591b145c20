"""``select-channels``: rank every group's channels by a criterion; with ``keep``, also decide how many stay."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

import numpy as np

from ...ir.errors import UsageError
from ...ir.graph import Array, Graph
from ..analysis.channels.groups import Channels, Group
from ..analysis.channels.protected import held_tensors
from ..analysis.channels.ranking import GroupRanking, Ranking
from ..analysis.view import View
from ..base import Context, Outcome
from ..order import ALL
from .criteria import CRITERIA
from .criterion import Criterion, fault
from .evidence import MEASURED, NEEDS, PROVIDED, Evidence, Study

_WITHOUT_DATA = "flow"
_WORTH = 0.5  # seconds that a group takes and that are worth a file


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
        CRITERIA.find(self.criterion)
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
            *([f"{self.criterion} needs calibration data"] if ranking.criterion != self.criterion else []),
            *([f"{held} groups kept as asked"] if held else []),
        )
        return Outcome(False, notes, {"criterion": ranking.criterion, "groups": len(groups)}, plan)

    def _rank(self, view: View, context: Context, groups: list[Group]) -> Ranking:
        name = usable(self.criterion, context)
        criterion = CRITERIA[name]
        study = Study(view, context, {} if context.calibration is None else context.moments(view, self.rows), groups)
        given = [context.provided[need] for need in sorted(criterion.needs & PROVIDED)]
        depends: list[Any] = [name, self.rows, [group.name for group in groups], [key_of(value) for value in given]]
        score = partial(_scored, study, groups, criterion, depends)
        ranks = context.remember("ranking", view.graph, depends, score, code=[criterion, *given])
        found = {
            group.name: GroupRanking(group.cells.ravel()[ranks[f"order_{place}"]], ranks[f"curve_{place}"])
            for place, group in enumerate(groups)
        }
        return Ranking(name, view.channels, found, rows=self.rows)

    def _free_groups(self, graph: Graph, channels: Channels, given: Graph | None) -> list[Group]:
        """Leave out groups that touch a node the user wants to keep."""
        tensors = graph.tensors()
        stay = [tensors[name] for name in held_tensors(graph, self.keep_nodes, self.keep_types, given)]
        atoms = [channels.context.of(tensor).atoms.ravel() for tensor in stay]
        held = np.concatenate([np.empty(0, np.int64), *atoms])
        return [group for group in channels.groups if group.width > 1 and not np.isin(group.cells, held).any()]


def usable(name: str, context: Context) -> str:
    """Return the criterion that can be asked here: without calibration data one that reads weights alone.

    Raises UsageError where what it needs can neither be had nor done without.
    """
    needs = CRITERIA.find(name).needs
    if unknown := sorted(needs - NEEDS):
        raise UsageError(f"criterion '{name}' needs '{unknown[0]}'", hint=f"what there is: {', '.join(sorted(NEEDS))}")
    if missing := sorted(needs & PROVIDED - context.provided.keys()):
        raise UsageError(f"criterion '{name}' needs {' and '.join(missing)}", why="none are provided")
    return _WITHOUT_DATA if context.calibration is None and needs & MEASURED else name


def key_of(value: Any) -> Any:
    """Return what tells something that is provided from another: arrays as they are, else its ``key``."""
    if isinstance(value, np.ndarray):
        return value
    return [[name, value[name]] for name in sorted(value)] if isinstance(value, Mapping) else value.key


def _scored(study: Study, groups: list[Group], criterion: Criterion, depends: Sequence[Any]) -> dict[str, Array]:
    """Rank every group; return its order of units and its curve under its number. Raises UsageError.

    Groups that take long are kept one by one too, with where chance has got to: a run that was interrupted goes on.
    """
    found, context = dict[str, Array](), study.context
    rng = context.rng()
    for place, group in enumerate(groups):
        context.progress("ranking channels", place / len(groups))
        make = partial(_ranked, Evidence(study, group, rng, criterion.needs), criterion)
        own = [*depends, place, _state(rng)]
        ranks = context.remember("rank", study.graph, own, make, code=[criterion], worth=_WORTH)
        rng.bit_generator.state = json.loads(ranks["chance"].tobytes())
        found[f"order_{place}"], found[f"curve_{place}"] = ranks["order"], ranks["curve"]
    return found


def _ranked(evidence: Evidence, criterion: Criterion) -> dict[str, Array]:
    """Return the ranks of a group, and the state of its chance afterwards."""
    order, curve = criterion.rank(evidence)
    if wrong := fault((order, curve), evidence.form):
        raise UsageError(f"criterion '{criterion.name}' does not rank '{evidence.group.name}'", why=wrong)
    return {"order": order, "curve": curve, "chance": np.frombuffer(_state(evidence.rng), np.uint8)}


def _state(rng: np.random.Generator) -> bytes:
    return json.dumps(rng.bit_generator.state).encode()
