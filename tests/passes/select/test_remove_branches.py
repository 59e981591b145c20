"""Dropping whole blocks: exact on every network that has some, with the mean in their place, and solvable after."""

from dataclasses import replace

import numpy as np
import pytest
from oracle import graph_of, run
from zoo import ZOO, feeds

from optimise_onnx.backends.ort import OrtRunner
from optimise_onnx.ir.errors import PreconditionError
from optimise_onnx.ir.feeds import Calibration
from optimise_onnx.ir.graph import Graph
from optimise_onnx.ir.verify import verify
from optimise_onnx.passes.analysis.channels.branches import droppable
from optimise_onnx.passes.analysis.channels.ranking import Ranking
from optimise_onnx.passes.base import Context
from optimise_onnx.passes.manager import apply
from optimise_onnx.passes.plan import Decision, Plan
from optimise_onnx.passes.reconstruct.reconstruct import Reconstruct
from optimise_onnx.passes.select.remove_channels import RemoveChannels
from optimise_onnx.passes.select.select_channels import SelectChannels

BLOCKS = {
    "attention_separate": 2, "cbam_gate": 1, "gqa_rope": 1, "layer_norm_channels": 1, "mobilenet_v2": 2,
    "option_a_spine": 2, "residual_gemm": 2, "resnet_projection": 5, "resnet_zero_pad": 4, "resnext": 6, "se_conv": 1,
    "se_residual": 2, "shufflenet_v1": 2, "split_c2f": 2, "tied_embedding": 1, "unused_initializer": 1, "vit": 4,
}  # fmt: skip


def decided(name: str, *, data: bool) -> tuple[Graph, Context, list[str]]:
    """Rank a network's channels and allow its blocks to go; nothing is decided to go yet."""
    model = ZOO[name]()
    graph = graph_of(model)
    shared = Context(OrtRunner(1), graph.copy(), Calibration.from_arrays(feeds(model, 0, 8)) if data else None)
    apply(SelectChannels(), graph, shared)
    ranking = ranking_of(shared)
    free = droppable(graph, ranking.channels, ranking.groups)
    shared.plan = replace(shared.plan, ranking=replace(ranking, droppable=free))
    return graph, shared, sorted(free)


def ranking_of(shared: Context) -> Ranking:
    """Return the ranking in the plan."""
    assert shared.plan.ranking is not None
    return shared.plan.ranking


def dropping(shared: Context, name: str, others: bool) -> Context:
    """Decide that a group goes, and half of every other group or nothing else."""
    ranking = ranking_of(shared)
    widths = {group.name: group.width for group in ranking.channels.groups if group.name in ranking.groups}
    removed = {other: width // 2 for other, width in widths.items()} if others else {}
    plan = Plan(ranking=ranking, decision=Decision(removed | {name: widths[name]}))
    return Context(shared.runner, shared.original, shared.calibration, plan=plan)


@pytest.mark.parametrize("name", sorted(BLOCKS))
def test_every_block_of_every_network(name: str) -> None:
    graph, shared, free = decided(name, data=len(name) % 2 == 0)
    assert len(free) == BLOCKS[name]
    for group in free:
        for others in (False, True):
            pruned, mine = graph.copy(), dropping(shared, group, others)
            outcome = apply(RemoveChannels(), pruned, mine)
            assert outcome.figures["oracle_error"] < 1e-5 and outcome.figures["branches_removed"] == 1
            verify(pruned, graph)
            inputs = feeds(ZOO[name](), 1, 1 + 2 * others)
            assert [a.shape for a in run(graph, inputs)] == [a.shape for a in run(pruned, inputs)]


def test_the_mean_takes_its_place() -> None:
    graph, shared, _ = decided("residual_gemm", data=True)
    pruned, mine = graph.copy(), dropping(shared, "gemm_1_out", False)
    apply(RemoveChannels(), pruned, mine)
    samples = next(iter(shared.fitting().batches(8)))
    wanted = OrtRunner(1).session(graph, outputs=["gemm_2_out"]).run(samples)["gemm_2_out"]
    constant = pruned.tensors()["gemm_2_out"]
    assert constant.is_constant
    np.testing.assert_allclose(constant.array, wanted.mean(0, keepdims=True), atol=1e-5)


def test_without_data_the_bias_does() -> None:
    graph, shared, _ = decided("residual_gemm", data=False)
    pruned = graph.copy()
    apply(RemoveChannels(), pruned, dropping(shared, "gemm_1_out", False))
    bias = graph.node("gemm_2").inputs[2].array
    np.testing.assert_array_equal(pruned.tensors()["gemm_2_out"].array, bias[None])


def test_the_block_is_an_addition_of_a_constant() -> None:
    """A residual block of convolutions: what is left adds one number a channel to the shortcut."""
    graph, shared, _ = decided("resnet_projection", data=True)
    pruned = graph.copy()
    outcome = apply(RemoveChannels(), pruned, dropping(shared, "conv_1_out", False))
    assert "1 of them whole: conv_2 became constant" in outcome.notes
    add = next(node for node in pruned.nodes if node.op == "Add")
    (constant,) = (tensor for tensor in add.inputs if tensor.is_constant)
    assert constant.array.shape == (1, 16, 1, 1)
    assert len(pruned.nodes) == len(graph.nodes) - 5  # two layers with their normalisation, one activation


def test_solving_anew_goes_on_without_the_block() -> None:
    graph, shared, free = decided("resnet_projection", data=True)
    for others in (False, True):
        pruned, mine = graph.copy(), dropping(shared, free[0], others)
        apply(RemoveChannels(), pruned, mine)
        apply(Reconstruct(), pruned, mine)
        verify(pruned, graph)


def test_a_group_that_may_not_go_stays_whole_and_one_that_is_needed_is_refused() -> None:
    graph, shared, free = decided("resnet_projection", data=False)
    ranking = ranking_of(shared)
    needed = sorted(ranking.groups.keys() - free)[0]
    assert not apply(RemoveChannels(), graph.copy(), dropping(shared, needed, False)).changed
    shared.plan = replace(shared.plan, ranking=replace(ranking, droppable=frozenset([needed])))
    with pytest.raises(PreconditionError, match=needed):
        apply(RemoveChannels(), graph, dropping(shared, needed, False))
