"""Removing channels equals zeroing them where they end: on every model of the zoo, and on networks drawn at random."""

import numpy as np
import onnx
import pytest
from oracle import Kept, distance, graph_of, half, known, oracle_error, removed, run, some
from zoo import ARCHITECTURES, ZOO, feeds

from optimise_onnx.ir.cost import cost, total
from optimise_onnx.ir.graph import Graph
from optimise_onnx.passes.analysis.channels.groups import Channels, analyse
from optimise_onnx.passes.analysis.channels.masking import masked

TOLERANCE = 1e-5
WITHOUT_A_RULE = {"attention_fused", "cells_unrolled", "fused_conv", "if_branches", "loop_body", "scan_unrolled"}


@pytest.mark.parametrize("name", ZOO)
def test_removing_equals_masking(name: str) -> None:
    """And the oracle can fail: what it compares with is another function than the original."""
    model, graph, channels = known(name)
    inputs = feeds(model, seed=0)
    for seed in range(2):
        kept = some(channels, np.random.default_rng(seed))
        assert oracle_error(graph, channels, kept, inputs) < TOLERANCE
    if name not in WITHOUT_A_RULE:
        kept = half(channels, np.random.default_rng(0))
        assert distance(graph, masked(graph, channels, kept), inputs) > 1e3 * TOLERANCE


@pytest.mark.parametrize("name", sorted(WITHOUT_A_RULE))
def test_nothing_is_free_where_nothing_is_known(name: str) -> None:
    assert all(group.width == 1 for group in known(name)[2].groups)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_wrong_mask_is_noticed(name: str) -> None:
    """Of one group, other channels are masked than are removed."""
    model, graph, channels = known(name)
    inputs = feeds(model, seed=0)
    kept = half(channels, np.random.default_rng(0))
    pruned = removed(graph, channels, kept)
    for group in channels.groups:
        assert distance(masked(graph, channels, kept | _others(channels, kept, group.name)), pruned, inputs) > TOLERANCE


def _others(channels: Channels, kept: Kept, name: str) -> Kept:
    """Keep, in one group, the neighbours of the units that should stay."""
    cells = next(group.cells for group in channels.groups if group.name == name)
    return {name: np.roll(cells, 1, axis=1)[np.isin(cells, kept[name])]}


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_halving_every_group_leaves_a_quarter_of_the_parameters(name: str) -> None:
    _, graph, channels = known(name)
    pruned = removed(graph, channels, half(channels, np.random.default_rng(0)))
    left = total(cost(pruned)).parameters / total(cost(graph)).parameters
    assert left <= (0.60 if name == "vit" else 0.30)


def test_keeping_all_changes_nothing() -> None:
    for name in ARCHITECTURES:
        _, graph, channels = known(name)
        whole = {group.name: group.cells.ravel() for group in channels.groups}
        assert removed(graph, channels, whole).to_model() == graph.to_model()


def test_another_batch_than_the_one_analysed() -> None:
    """Heads and batch share an axis: what is masked repeats with the batch."""
    model = ZOO["attention_batch_heads"]()
    graph = graph_of(model)
    channels = analyse(graph)
    kept = half(channels, np.random.default_rng(0))
    for batch in (1, 2, 5):
        assert oracle_error(graph, channels, kept, feeds(model, seed=0, batch=batch)) < TOLERANCE


@pytest.mark.parametrize("kind", [np.float16, np.float64])
def test_other_float_types(kind: type[np.floating]) -> None:
    """The mask has the type of what it multiplies, though the model declares no inner types."""
    model = _cast(ZOO["mlp"](), kind)
    graph, inputs = graph_of(model), feeds(model, seed=0)
    channels = analyse(graph)
    kept = half(channels, np.random.default_rng(0))
    assert run(graph, inputs)[0].dtype == kind
    assert oracle_error(graph, channels, kept, inputs) < (1e-2 if kind is np.float16 else 1e-12)


def _cast(model: onnx.ModelProto, kind: type[np.floating]) -> onnx.ModelProto:
    graph = Graph.of(model)
    for tensor in graph.constants():
        if tensor.dtype == np.float32:
            graph.set_array(tensor, tensor.array.astype(kind))
    typed = graph.to_model()
    for value in (*typed.graph.input, *typed.graph.output):
        value.type.tensor_type.elem_type = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(kind))
    return typed
