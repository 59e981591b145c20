"""Repair from weights alone: exact where channels are copies, better than nothing on average elsewhere."""

import digits
import numpy as np
import onnx
import pytest
from oracle import distance, graph_of, run
from zoo import ZOO, feeds
from zoo.builder import Builder

from optimise_onnx.backends.ort import OrtRunner
from optimise_onnx.ir.graph import Graph
from optimise_onnx.passes.analysis.channels.groups import analyse
from optimise_onnx.passes.analysis.channels.ranking import GroupRanking, Ranking
from optimise_onnx.passes.base import Context
from optimise_onnx.passes.manager import PassManager, apply
from optimise_onnx.passes.plan import Decision, Plan
from optimise_onnx.passes.reconstruct.reconstruct import Reconstruct
from optimise_onnx.passes.select.remove_channels import RemoveChannels


def wide(seed: int, activation: str = "relu") -> onnx.ModelProto:
    """An MLP of three random layers of 128 channels."""
    b = Builder(f"wide_{seed}")
    x = b.input("x", ["N", 24])
    for _ in range(3):
        x = getattr(b, activation)(b.gemm(x, 128))
    return b.model(b.gemm(x, 10))


def at_random(graph: Graph, seed: int, share: float) -> tuple[Graph, Context]:
    """Remove a random share of every group from a copy."""
    channels, rng = analyse(graph), np.random.default_rng(seed)
    orders = {g.name: GroupRanking(rng.permutation(g.cells.T), np.arange(g.width + 1.0)) for g in channels.groups}
    removed = {group.name: int(share * group.width) for group in channels.groups}
    return without(graph, Ranking("random", channels, orders), removed)


def without(graph: Graph, ranking: Ranking, removed: dict[str, int]) -> tuple[Graph, Context]:
    """Remove so many rounds of each group from a copy."""
    copy, plan = graph.copy(), Plan(ranking=ranking, decision=Decision(removed))
    shared = Context(OrtRunner(1), graph, plan=plan)
    apply(RemoveChannels(), copy, shared)
    return copy, shared


def error(graph: Graph, other: Graph, model: onnx.ModelProto) -> float:
    """Mean squared difference of the outputs, relative to the output."""
    inputs = feeds(model, 99, 200)
    (wanted,), (got,) = run(graph, inputs), run(other, inputs)
    return float(((got - wanted) ** 2).sum() / (wanted**2).sum())


@pytest.mark.parametrize(("activation", "share"), [("relu", 0.25), ("relu", 0.5), ("gelu", 0.25)])
def test_a_wide_random_network_loses_less(activation: str, share: float) -> None:
    ratios = []
    for seed in range(6):
        model = wide(seed, activation)
        graph = graph_of(model)
        pruned, shared = at_random(graph, seed, share)
        plain = error(graph, pruned, model)
        outcome = apply(Reconstruct(), pruned, shared)
        assert outcome.changed and "no calibration data: 3 layers" in outcome.notes[0]
        ratios.append(error(graph, pruned, model) / plain)
    assert max(ratios) < 0.8 and np.mean(ratios) < 0.6, ratios


@pytest.mark.parametrize("kind", ["codes", "conv", "flatten", "nhwc", "linear", "residual"])
def test_copies_are_made_up_for_exactly(kind: str) -> None:
    b = Builder(f"copies_{kind}")
    x = b.input("x", ["N", 3, 6, 6])
    weight = np.repeat(b.rng.standard_normal((4, 3, 3, 3)), 2, 0).astype(np.float32)
    bias = np.repeat(b.uniform([4], -0.3, 0.3), 2)
    y = b.conv_with(x, [b.const(weight), b.const(bias)])
    if kind == "residual":
        again = np.repeat(b.rng.standard_normal((4, 3, 3, 3)), 2, 0).astype(np.float32)
        y = b.add(y, b.conv_with(x, [b.const(again), b.const(bias)]))
    if kind != "linear":
        y = b.relu(y)
    if kind == "nhwc":
        y = b.transpose(y, 0, 2, 3, 1)
    if kind == "codes":
        codes = b.const(b.rng.integers(-127, 128, [5, 8, 3, 3]).astype(np.int8))
        y = b.conv_with(y, [b.node("DequantizeLinear", [codes, b.const(b.uniform([5], 0.001, 0.002))], axis=0)])
    model = b.model(y if kind == "codes" else b.gemm(b.flatten(y), 5) if kind in ("flatten", "nhwc") else b.conv(y, 5))
    graph = graph_of(model)
    channels = analyse(graph)
    (group,) = channels.groups
    order = np.concatenate([group.cells[:, 1::2], group.cells[:, ::2]], 1).T
    ranking = Ranking("odd", channels, {group.name: GroupRanking(order, np.arange(9.0))})
    pruned, shared = without(graph, ranking, {group.name: 4})
    before = distance(graph, pruned, feeds(model, 0))
    apply(Reconstruct(), pruned, shared)
    assert distance(graph, pruned, feeds(model, 0)) < 0.05 * before  # the ridge is a hundredth


def test_what_cannot_be_guessed_is_left_alone() -> None:
    """A grouped reader and codes that cannot stand for any floats stay as removal left them, and nothing fails."""
    b = Builder("alone")
    x = b.relu(b.conv(b.input("x", ["N", 3, 6, 6]), 8))
    codes = b.node("DequantizeLinear", [b.const(np.ones((4, 8, 1, 1), np.uint8)), b.const(np.float32(0.1))])
    graph = graph_of(b.model(b.conv(x, 6, group=2), b.node("Conv", [x, codes])))
    pruned, shared = at_random(graph, 0, 0.5)
    assert not apply(Reconstruct(), pruned, shared).changed


def test_it_helps_the_trained_network() -> None:
    shared = digits.context(0)
    graph = digits.run("select-channels{keep=0.8},remove-channels", shared)
    plain = digits.examiner().of(graph)
    apply(Reconstruct(), graph, shared)
    assert digits.examiner().of(graph) < plain


@pytest.mark.parametrize("between", ["fold-batch-norm", "decompose{share=0.7}"])
def test_what_a_pass_between_has_done_to_a_layer_is_not_undone(between: str) -> None:
    model = ZOO["resnet_projection"]()
    graph, unseen = graph_of(model), feeds(model, 5, 32)
    shared = Context(OrtRunner(1), graph.copy())
    PassManager.parse(f"select-channels{{keep=0.7}},remove-channels,{between}").run(graph, shared)
    before = distance(shared.original, graph, unseen)
    apply(Reconstruct(), graph, shared)
    assert distance(shared.original, graph, unseen) < 1.02 * before
