"""Whether a criterion keeps what criteria promise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..backends.ort import OrtRunner
from ..demo import load_samples, paths
from ..frontends.load import load
from ..ir.errors import UsageError
from ..ir.feeds import Calibration
from ..ir.graph import Array, Graph
from ..passes.analysis.channels.ranking import GroupRanking, Ranking
from ..passes.base import Context
from ..passes.manager import PassManager
from ..passes.plan import Decision, Plan
from ..passes.select.criteria import CRITERIA
from ..passes.select.criterion import Criterion, Ranks, fault
from ..passes.select.evidence import NEEDS, Evidence, Study
from .running import require, small_network

_SAMPLES = 64
_CHANCES = 2


def check_criterion(
    criterion: Criterion, *, provided: Mapping[str, Any] | None = None, beats_chance: bool = True
) -> None:
    """Raise AssertionError unless a criterion is one that selection can rely on.

    It has a name and a paper and needs what there is. On a small network of ours with a grouped convolution, and on
    the trained network that is shipped, it gives every group an order of all its units, one of each cell a round, and
    a finite curve that rises from 0; it gives the same again, by the seed alone, and leaves its evidence as it was.
    Without half of every group, and repaired, the trained network is nearer to the original by its choice than by
    chance (not asked with ``beats_chance=False``). ``provided``: what it needs besides, as in ``Context.provided``.
    """
    require(isinstance(criterion, Criterion), f"{criterion!r} has no name, paper, needs and rank")
    require(criterion.name and criterion.paper, f"{criterion!r} has no name, or no paper to read about it")
    unknown = sorted(criterion.needs - NEEDS)
    require(not unknown, f"'{criterion.name}' needs {unknown}, which is none of {sorted(NEEDS)}")
    given = dict(provided or {})
    images = np.random.default_rng(0).standard_normal((_SAMPLES, 3, 8, 8)).astype(np.float32)
    _ranked(criterion, _study(load(small_network())[0], {"x": images}, given))
    digits = _study(load(paths()[0])[0], {"image": load_samples().calibration[: 2 * _SAMPLES]}, given)
    ranks = _ranked(criterion, digits)
    if beats_chance:
        mine = _left(digits, ranks)
        chance = np.mean([_left(digits, _ranks(CRITERIA["random"], digits, seed)) for seed in range(_CHANCES)])
        require(mine < chance, f"'{criterion.name}' is no better than chance: divergence {mine:.3g}, {chance:.3g}")


def _study(graph: Graph, arrays: Mapping[str, Array], provided: dict[str, Any]) -> Study:
    context = Context(OrtRunner(1), graph.copy(), Calibration.from_arrays(arrays), provided=provided)
    PassManager.parse("fold-constants,fold-batch-norm").run(graph, context)
    view = context.view(graph)
    return Study(view, context, context.moments(view))


def _ranked(criterion: Criterion, study: Study) -> Sequence[Ranks]:
    """Rank every group twice."""
    first, second = (_ranks(criterion, study, 0) for _ in range(2))
    for one, two in zip(first, second, strict=True):
        same = all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))
        require(same, f"'{criterion.name}' ranks differently the second time: it takes chance from elsewhere")
    return first


def _ranks(criterion: Criterion, study: Study, seed: int) -> list[Ranks]:
    rng, found = np.random.default_rng(seed), []
    for group in study.channels.groups:
        evidence = Evidence(study, group, rng, criterion.needs)
        before = _arrays(evidence)
        try:
            ranks = criterion.rank(evidence)
        except UsageError as error:
            raise AssertionError(f"'{criterion.name}' asks for what is not there: {error}") from error
        wrong = fault(ranks, evidence.form)
        require(not wrong, f"'{criterion.name}', asked about {evidence.form} units, cells by width: {wrong}")
        same = all(np.array_equal(*pair) for pair in zip(before, _arrays(evidence), strict=True))
        require(same, f"'{criterion.name}' writes into its evidence")
        found.append(ranks)
    return found


def _arrays(evidence: Evidence) -> list[Array]:
    """Copy what the readers hold."""
    held = [part for reader in evidence.readers for part in (reader.weight, reader.mean, reader.cov)]
    return [part.copy() for part in held if part is not None]


def _left(study: Study, ranks: Sequence[Ranks]) -> float:
    """Return the divergence of the network without the first half of every group's rounds, and repaired."""
    groups = study.channels.groups
    named = {
        group.name: GroupRanking(group.cells.ravel()[order], curve)
        for group, (order, curve) in zip(groups, ranks, strict=True)
    }
    widths = {group.name: group.width // 2 for group in groups}
    plan = Plan(ranking=Ranking("checked", study.channels, named), decision=Decision(widths=widths))
    context, graph = replace(study.context, plan=plan), study.graph.copy()
    PassManager.parse("remove-channels,reconstruct", given=plan.facts).run(graph, context)
    return study.judge.of(graph)
