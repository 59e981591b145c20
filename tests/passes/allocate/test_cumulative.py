"""Probing several groups at once: alone it is the ordinary probe, together it is what removal does."""

from collections.abc import Mapping

import numpy as np
import pytest
from oracle import graph_of
from zoo import ZOO, feeds

from optimise_onnx.backends.ort import OrtRunner
from optimise_onnx.ir.feeds import Calibration
from optimise_onnx.ir.graph import Graph
from optimise_onnx.passes.allocate.cumulative import CumulativeProbe
from optimise_onnx.passes.allocate.probe import Probe
from optimise_onnx.passes.analysis.channels.ranking import Ranking
from optimise_onnx.passes.analysis.channels.readers import readers
from optimise_onnx.passes.analysis.statistics.input_moments import LazyMoments
from optimise_onnx.passes.analysis.statistics.judge import Judge, judge
from optimise_onnx.passes.base import Context
from optimise_onnx.passes.manager import apply
from optimise_onnx.passes.plan import Decision, Plan
from optimise_onnx.passes.select.remove_channels import RemoveChannels
from optimise_onnx.passes.select.select_channels import SelectChannels


def probed(name: str) -> tuple[Graph, LazyMoments, Judge, CumulativeProbe]:
    """Rank a network's channels and make a probe."""
    model = ZOO[name]()
    graph = graph_of(model)
    shared = Context(OrtRunner(1), graph, Calibration.from_arrays(feeds(model, 0, 64)))
    apply(SelectChannels(), graph, shared)
    chosen, ranking = judge(graph, shared.judging(16), OrtRunner(1)), shared.plan.ranking
    assert ranking is not None
    moments = shared.moments(shared.view(graph))
    return graph, moments, chosen, CumulativeProbe.of(graph, ranking, moments, chosen)


def without(graph: Graph, ranking: Ranking, removed: Mapping[str, int]) -> Graph:
    """Remove so many rounds of each group from a copy."""
    pruned, plan = graph.copy(), Plan(ranking=ranking, decision=Decision(removed))
    apply(RemoveChannels(), pruned, Context(OrtRunner(1), graph, plan=plan))
    return pruned


@pytest.mark.parametrize("name", ["resnext", "densenet", "vit", "qdq_weight_per_axis", "shared_conv_weight"])
def test_one_group_alone_is_the_ordinary_probe(name: str) -> None:
    graph, moments, chosen, cumulative = probed(name)
    ranking = cumulative.ranking
    probe = Probe.of(graph, ranking, moments, chosen)
    for group in ranking.channels.groups:
        if group.name in ranking.groups:
            reading = readers(graph, ranking.channels, group, probe.layers, probe.moments, {})
            alone = probe.divergence(group, group.width // 2, reading)
            assert cumulative.divergence({group.name: group.width // 2}) == pytest.approx(alone, rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("name", ["conv_transpose", "shared_conv_weight"])
def test_where_nothing_may_be_edited_it_is_removal(name: str) -> None:
    graph, _, chosen, cumulative = probed(name)
    cumulative.layers.clear()
    ranking = cumulative.ranking
    removed = {group.name: group.width // 2 for group in ranking.channels.groups if group.name in ranking.groups}
    pruned = without(graph, ranking, removed)
    assert cumulative.divergence(removed) == pytest.approx(chosen.of(pruned), rel=1e-3)


def test_making_up_for_all_channels_at_once_helps() -> None:
    graph, _, chosen, cumulative = probed("densenet")
    ranking = cumulative.ranking
    names = [group.name for group in ranking.channels.groups if group.name in ranking.groups]
    removed = {group.name: group.width // 3 for group in ranking.channels.groups if group.name in names}
    pruned = without(graph, ranking, removed)
    together = cumulative.divergence(removed)
    assert together < chosen.of(pruned)
    assert together > np.mean([cumulative.divergence({name: removed[name]}) for name in names])
    assert cumulative.divergence(removed) == together and cumulative.divergence({}) == 0
