"""Probes: what a group costs is measured at every reader, and the curve goes through what was measured."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from oracle import graph_of
from zoo import ZOO, feeds
from zoo.builder import Builder

from optimise_onnx.backends.ort import OrtRunner, OrtSession
from optimise_onnx.ir.feeds import Calibration
from optimise_onnx.ir.graph import Graph
from optimise_onnx.passes.allocate.probe import Probe, scaled
from optimise_onnx.passes.analysis.channels.ranking import Ranking
from optimise_onnx.passes.analysis.channels.readers import readers
from optimise_onnx.passes.analysis.statistics.judge import Judge, judge
from optimise_onnx.passes.base import Context
from optimise_onnx.passes.manager import apply
from optimise_onnx.passes.plan import Decision, Plan
from optimise_onnx.passes.select.remove_channels import RemoveChannels
from optimise_onnx.passes.select.select_channels import SelectChannels

Array = NDArray[Any]


@given(
    st.lists(st.floats(0, 1), min_size=4, max_size=30),
    st.lists(st.floats(0, 10), min_size=3, max_size=3),
    st.floats(0, 6),
)
def test_a_scaled_curve(steps: list[float], measured: list[float], decades: float) -> None:
    proxy = np.concatenate([[0.0], np.cumsum(np.array(steps) * 10**-decades)])
    points = sorted({max(1, round(share * (len(steps) - 1))) for share in (0.25, 0.5, 0.75)})
    heights = measured[: len(points)]
    curve = scaled(proxy, points, heights)
    assert curve[0] == 0 and (np.diff(curve) >= 0).all() and np.isfinite(curve).all()
    np.testing.assert_allclose(curve[points], np.maximum(np.maximum.accumulate(heights), 1e-12), rtol=1e-9)


def test_a_proxy_that_is_right_stays() -> None:
    proxy = np.array([0.0, 1, 3, 4, 8, 9, 20])
    np.testing.assert_allclose(scaled(proxy, [1, 3, 4], 0.1 * proxy[[1, 3, 4]]), 0.1 * proxy)


def test_free_rounds_in_the_proxy_do_not_blow_the_curve_up() -> None:
    proxy = np.array([0.0, 0, 0, 0.1, 0.2, 0.4])
    assert scaled(proxy, [2, 4], [1e-6, 0.2])[3] <= 0.2


def a_probe(model: onnx.ModelProto, samples: int = 64) -> tuple[Graph, Probe]:
    """Rank a model's channels and make a probe of it."""
    graph = graph_of(model)
    shared = Context(OrtRunner(1), graph, Calibration.from_arrays(feeds(model, 0, samples)))
    apply(SelectChannels(), graph, shared)
    chosen, ranking = judge(graph, shared.judging(samples), OrtRunner(1)), shared.plan.ranking
    assert ranking is not None
    return graph, Probe.of(graph, ranking, shared.moments(shared.view(graph)), chosen)


def without(graph: Graph, ranking: Ranking, removed: dict[str, int]) -> Graph:
    """Remove so many rounds of each group from a copy."""
    pruned, plan = graph.copy(), Plan(ranking=ranking, decision=Decision(removed))
    apply(RemoveChannels(), pruned, Context(OrtRunner(1), graph, plan=plan))
    return pruned


def measured(probe: Probe, name: str, count: int) -> float:
    """Divergence when a group loses some rounds."""
    group = next(group for group in probe.ranking.channels.groups if group.name == name)
    reading = readers(probe.graph, probe.ranking.channels, group, probe.layers, probe.moments, {})
    return probe.divergence(group, count, reading)


READERS = [
    "conv_transpose",
    "gemm_scaled",
    "gemm_trans_a",
    "shared_conv_weight",
    "qdq_activations",
    "qdq_weight_axis_one",
    "attention_separate",
    "einsum_linear",
]


@pytest.mark.parametrize("name", READERS)
def test_no_reader_gets_away(name: str) -> None:
    """Layers whose weights cannot be edited are masked: no group looks free."""
    graph, probe = a_probe(ZOO[name](), 16)
    before = graph.to_model().SerializeToString()
    for group in probe.ranking.channels.groups:
        if group.width > 1:
            assert probe.curve(group)[-2] > 1e-9
    assert graph.to_model().SerializeToString() == before


def test_without_anything_to_edit_a_probe_is_removal() -> None:
    b = Builder("transposed")
    y = b.conv_transpose(b.conv_relu(b.input("x", ["N", 3, 6, 6]), 8), 4)
    graph, probe = a_probe(b.model(b.conv_transpose(b.relu(y), 3)))
    ranking: Ranking = probe.ranking
    (first, *_) = ranking.channels.groups
    pruned = without(graph, ranking, {first.name: 5})
    assert measured(probe, first.name, 5) == pytest.approx(probe.judge.of(pruned), rel=1e-3)


@pytest.mark.parametrize("name", ["vgg_gap", "qdq_weight_per_axis", "resnext", "vit"])
def test_making_up_for_channels_helps(name: str) -> None:
    """With data the measured error is mostly below that of plain removal."""
    graph, probe = a_probe(ZOO[name]())
    ratios = []
    for group in probe.ranking.channels.groups:
        if group.width < 4:
            continue
        pruned = without(graph, probe.ranking, {group.name: group.width // 2})
        ratios.append(measured(probe, group.name, group.width // 2) / probe.judge.of(pruned))
    assert np.mean(np.log(ratios)) < 0


@pytest.mark.parametrize(
    "name", ["resnet_projection", "densenet", "vit", "resnext", "qdq_activations", "conv_transpose"]
)
def test_running_only_what_changes_equals_running_all(name: str) -> None:
    """In any order of groups, with all of a group gone too."""
    _, probe = a_probe(ZOO[name](), 16)
    everything = replace(probe, judge=Whole(probe.judge))
    groups = [group for group in probe.ranking.channels.groups if group.width > 1]
    for group in reversed(groups):
        for count in (1, group.width // 2, group.width):
            wanted = measured(everything, group.name, count)
            assert measured(probe, group.name, count) == pytest.approx(wanted, rel=1e-3, abs=1e-9)


class Whole:
    """A judge that runs the whole graph."""

    def __init__(self, known: Judge) -> None:
        self.known = known

    def of(self, graph: Graph) -> float:
        known = self.known
        session = OrtRunner(1).session(graph, outputs=list(known.reference))
        found = {name: known.distance(known.parts[name], wanted) for name, wanted in known.reference.items()}
        for place, batch in enumerate(known.activations._feeds):
            for name, values in session.run(batch).items():
                found[name].add(place, values)
        return sum(each.found() for each in found.values())


def test_all_of_a_group_may_go() -> None:
    """Its readers then put out what they do on average: the biases make up for it."""
    b = Builder("two")
    y = b.conv_relu(b.input("x", ["N", 3, 6, 6]), 8)
    _, probe = a_probe(b.model(b.conv(y, 4)))
    (group,) = (group for group in probe.ranking.channels.groups if group.width == 8)
    assert measured(probe, group.name, 8) == pytest.approx(1, rel=0.2)
    curve = probe.curve(group, emptied=True)
    assert curve[8] == pytest.approx(measured(probe, group.name, 8))
    np.testing.assert_array_equal(curve[:6], probe.curve(group)[:6])


@pytest.mark.parametrize(("groups", "points"), [(1, 3), (16, 3), (17, 2), (25, 1), (400, 1)])
def test_of_many_groups_few_points_are_measured(groups: int, points: int) -> None:
    b = Builder("two")
    graph, probe = a_probe(b.model(b.conv(b.conv(b.input("x", ["N", 3, 6, 6]), 9), 4)))
    (group,) = (group for group in probe.ranking.channels.groups if group.width == 9)
    ranked = replace(probe.ranking, groups={str(n): probe.ranking.groups[group.name] for n in range(groups)})
    assert Probe.of(graph, ranked, probe.moments, probe.judge).points == points
    curve = replace(probe, points=points).curve(group)
    for count in np.linspace(0, 8, points + 2)[1:-1].round().astype(int).tolist():
        assert curve[count] == pytest.approx(measured(probe, group.name, count))


def test_nothing_before_the_first_reader_runs_again() -> None:
    b = Builder("chain")
    y = b.input("x", ["N", 3, 6, 6])
    for _ in range(4):
        y = b.conv_relu(y, 8)
    graph, probe = a_probe(b.model(y), 16)
    ran: list[list[str]] = []
    counting = Counting(ran)
    probe = replace(probe, judge=judge(graph, Calibration.from_arrays(feeds(graph.to_model(), 0, 8)), counting))
    groups = [group for group in probe.ranking.channels.groups if group.width > 1]
    for count in (1, 3):
        for group in groups:
            measured(probe, group.name, count)
    whole = len(graph.nodes)
    assert sum(map(len, ran[1:])) < len(groups) * whole + whole  # two points a group, half the graph each, inputs once
    assert {len(nodes) for nodes in ran[-len(groups) :]} == {whole - 2 - 2 * place for place in range(len(groups))}


@dataclass
class Counting:
    """A runner that remembers which nodes each session has."""

    ran: list[list[str]]

    def session(self, graph: Graph, *, outputs: Sequence[str] | None = None, exact: bool = False) -> OrtSession:
        self.ran.append([node.name for node in graph.nodes])
        return OrtRunner(1).session(graph, outputs=outputs, exact=exact)


def test_an_old_bias_is_kept() -> None:
    b = Builder("biased")
    y = b.conv(b.input("x", ["N", 3, 6, 6]), 8)
    bias = b.node("DequantizeLinear", [b.const(np.full(4, 100, np.int32)), b.const(np.float32(1))])
    _, probe = a_probe(b.model(b.conv_with(y, [b.weight([4, 8, 3, 3]), bias])))
    assert measured(probe, "conv_0_out", 1) < 1
