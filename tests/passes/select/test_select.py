"""The selecting pass: which groups are free, what is decided, and what it refuses."""

import re
from pathlib import Path

import digits
import numpy as np
import pytest
from oracle import graph_of
from zoo import ZOO
from zoo.builder import Builder

from optimise_onnx.backends.ort import OrtRunner
from optimise_onnx.ir.errors import UsageError
from optimise_onnx.ir.graph import Array, Graph
from optimise_onnx.passes.analysis.channels.groups import analyse
from optimise_onnx.passes.analysis.channels.protected import meant
from optimise_onnx.passes.analysis.channels.ranking import Ranking
from optimise_onnx.passes.base import Context
from optimise_onnx.passes.cache import DiskCache
from optimise_onnx.passes.manager import apply
from optimise_onnx.passes.select import select_channels as module
from optimise_onnx.passes.select.criterion import Criterion
from optimise_onnx.passes.select.evidence import Evidence
from optimise_onnx.passes.select.select_channels import SelectChannels


def ranked(graph: Graph, select: SelectChannels) -> Ranking:
    """Run the pass without data and return what it decided."""
    shared = Context(OrtRunner(1), graph)
    assert not apply(select, graph, shared).changed
    assert shared.plan.ranking is not None
    return shared.plan.ranking


def chain() -> Graph:
    """Three convolutions right after each other: each one's output is the next one's input."""
    b = Builder("chain")
    x = b.input("x", ["N", 3, 6, 6])
    for width in (4, 6, 8):
        x = b.conv(x, width)
    return graph_of(b.model(x))


@pytest.mark.parametrize(
    ("pattern", "held"),
    [
        ("conv_0", {"conv_0_out"}),
        ("^conv_0_out$", {"conv_0_out"}),  # and not what reads it
        ("weight_1", {"conv_1_out"}),
        ("bias_0|bias_1", {"conv_0_out", "conv_1_out"}),
        ("^x$", set()),
    ],
)
def test_what_a_pattern_keeps(pattern: str, held: set[str]) -> None:
    graph = chain()
    groups = {group.name for group in analyse(graph).groups}
    assert groups == {"conv_0_out", "conv_1_out"}
    assert groups - ranked(graph, SelectChannels(keep_nodes=pattern)).groups.keys() == held


def test_a_coupled_tensor_keeps_the_whole_group() -> None:
    graph = graph_of(ZOO["resnet_projection"]())
    free = ranked(graph, SelectChannels()).groups
    add = next(node for node in graph.nodes if node.op == "Add")
    held = free.keys() - ranked(graph, SelectChannels(keep_nodes=f"^{re.escape(add.outputs[0].name)}$")).groups.keys()
    assert len(held) == 1


def test_what_a_quantised_weight_is_seen_through_counts_as_its_own() -> None:
    b = Builder("codes")
    codes, scale = b.const(np.ones((4, 3, 1, 1), np.int8), "codes"), b.const(np.ones(4, np.float32), "scale")
    y = b.node("Conv", [b.input("x", ["N", 3, 6, 6]), b.node("DequantizeLinear", [codes, scale], axis=0)])
    graph = graph_of(b.model(b.conv(y, 5)))
    assert ranked(graph, SelectChannels()).groups
    for pattern in ("codes", "scale", "dequantizelinear"):
        assert not ranked(graph, SelectChannels(keep_nodes=pattern)).groups


def test_types_are_kept() -> None:
    graph = graph_of(ZOO["two_inputs"]())
    ops = {node.op for node in graph.nodes}
    assert {"Conv", "Gemm"} <= ops
    free, fewer = (ranked(graph, SelectChannels(keep_types=types)).groups.keys() for types in ("", "Conv"))
    labels = analyse(graph).context.labels
    groups = {group.name: group for group in analyse(graph).groups}
    made = [t.name for node in graph.nodes if node.op == "Conv" for t in node.outputs]
    assert free - fewer == {
        name for name in free if any(np.isin(groups[name].cells, labels[t].atoms).any() for t in made if t in labels)
    }
    assert fewer and not ranked(graph, SelectChannels(keep_types="Conv|Gemm")).groups


@pytest.mark.parametrize(
    "select",
    [
        SelectChannels(criterion="best"),
        SelectChannels(keep=1.5),
        SelectChannels(keep_nodes="nowhere"),
        SelectChannels(keep_nodes="("),
    ],
)
def test_refusals(select: SelectChannels) -> None:
    with pytest.raises(UsageError):
        ranked(chain(), select)


def test_patterns_mean_tensors() -> None:
    graph = chain()
    assert [tensor.name for tensor in meant(graph, "_1$")] == ["conv_1_out"]
    assert [tensor.name for tensor in meant(graph, "")] == ["x", "conv_0_out", "conv_1_out", "conv_2_out"]


@pytest.mark.parametrize(("keep", "width", "lost"), [(0.5, 8, 4), (0.01, 8, 7), (1.0, 8, 0), (0.3, 8, 6)])
def test_a_share_decides_widths(keep: float, width: int, lost: int) -> None:
    b = Builder("one")
    graph = graph_of(b.model(b.conv(b.conv(b.input("x", ["N", 3, 6, 6]), width), 5)))
    shared = Context(OrtRunner(1), graph)
    apply(SelectChannels(keep=keep), graph, shared)
    assert shared.plan.decision.widths == {"conv_0_out": lost}


def test_without_data_flow_takes_over() -> None:
    shared = digits.context(0)
    digits.run("select-channels", shared)
    assert shared.plan.ranking is not None and shared.plan.ranking.criterion == "flow"
    outcome = apply(SelectChannels(keep_nodes="/2/"), digits.network(), shared)
    assert any("kept as asked" in note for note in outcome.notes)


def test_the_same_data_and_seed_rank_the_same() -> None:
    found = []
    for seed in (0, 0):
        shared = digits.context(64, seed)
        digits.run("select-channels", shared)
        assert shared.plan.ranking is not None
        found.append(shared.plan.ranking.groups)
    for name, ranking in found[0].items():
        np.testing.assert_array_equal(ranking.order, found[1][name].order)
        np.testing.assert_array_equal(ranking.curve, found[1][name].curve)


def test_a_ranking_that_was_interrupted_goes_on_with_the_same_chance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph, done, plain = chain(), list[str](), module._ranked
    whole = ranked(graph, SelectChannels("random"))

    def counting(evidence: Evidence, criterion: Criterion) -> dict[str, Array]:
        done.append(evidence.group.name)
        if len(done) == 2:
            raise KeyboardInterrupt
        return plain(evidence, criterion)

    monkeypatch.setattr(module, "_ranked", counting)
    monkeypatch.setattr(module, "_WORTH", 0.0)
    shared = Context(OrtRunner(1), graph, cache=DiskCache(tmp_path))
    with pytest.raises(KeyboardInterrupt):
        apply(SelectChannels("random"), graph, shared)
    apply(SelectChannels("random"), graph, shared)
    assert done == ["conv_0_out", "conv_1_out", "conv_1_out"]
    assert shared.plan.ranking is not None
    for name, ranks in whole.groups.items():
        np.testing.assert_array_equal(shared.plan.ranking.groups[name].order, ranks.order)
