"""What onnxruntime's transformer optimiser fuses comes apart, computes the same, and then loses channels."""

import numpy as np
import onnx
import pytest
from oracle import distance, graph_of, run, some
from zoo import feeds
from zoo.builder import Builder

from optimise_onnx.backends.ort import OrtRunner
from optimise_onnx.ir.graph import Graph
from optimise_onnx.passes.analysis.channels.groups import analyse
from optimise_onnx.passes.analysis.channels.masking import masked
from optimise_onnx.passes.analysis.channels.removal import remove
from optimise_onnx.passes.base import Context
from optimise_onnx.passes.cleanup.constants import FoldConstants

MICROSOFT = "com.microsoft"


def encoder(mask: bool = False, opset: int = 17) -> onnx.ModelProto:
    b = Builder("encoder", opset=opset)
    x = b.matmul(b.input("x", ["N", 6, 10]), 24)
    packed = b.weight([24, 24 + 24 + 32], fan_in=24)
    lengths = [b.input("lengths", ["N"], np.int32)] if mask else []
    sizes = {"num_heads": 4, "qkv_hidden_sizes": [24, 24, 32]}
    mixed = b.node("Attention", [x, packed, b.vector(80), *lengths], domain=MICROSOFT, **sizes)
    h = b.matmul(b.declare(mixed, ["N", 6, 32]), 24)
    vectors = [b.vector(24, 0.6, 1.4, "gamma"), b.vector(24), b.vector(24)]
    names = b.nodes("SkipLayerNormalization", [h, x, *vectors], 4, domain=MICROSOFT, epsilon=1e-5)
    normal, total = (b.declare(name, ["N", 6, 24]) for name in (names[0], names[3]))
    h = b.node("MatMul", [normal, b.weight([24, 40], fan_in=24)])
    h = b.declare(b.node("BiasGelu", [h, b.vector(40)], domain=MICROSOFT), ["N", 6, 40])
    model = b.model(b.matmul(b.add(b.matmul(h, 24), total), 5))
    for node in model.graph.node:
        if node.op_type == "SkipLayerNormalization":
            node.output[1] = node.output[2] = ""
    return model


def given(model: onnx.ModelProto, mask: bool) -> dict[str, np.ndarray]:
    found = feeds(model, seed=0)
    return found | {"lengths": np.array([4, 6] * len(found["x"]), np.int32)[: len(found["x"])]} if mask else found


def apart(model: onnx.ModelProto) -> Graph:
    graph = graph_of(model)
    FoldConstants().run(graph, Context(OrtRunner(), graph))
    return graph


@pytest.mark.parametrize("opset", [12, 13, 17])
@pytest.mark.parametrize("mask", [False, True])
def test_it_computes_the_same_and_loses_channels_everywhere(mask: bool, opset: int) -> None:
    model = encoder(mask, opset)
    graph, inputs = apart(model), given(model, mask)
    norm = "LayerNormalization" if opset == 17 else "ReduceMean"
    assert {node.op for node in graph.nodes} >= {"MultiHeadAttention", norm, "Gelu"}
    assert distance(graph_of(model), graph, inputs) < 1e-5
    channels = analyse(graph)
    assert sorted(group.cells.shape for group in channels.groups) == [(1, 24), (1, 40), (4, 6), (4, 8)]
    for seed in range(3):
        kept = some(channels, np.random.default_rng(seed))
        copy = graph.copy()
        remove(copy, channels, kept)
        assert distance(masked(graph, channels, kept), copy, inputs) < 1e-5


def test_a_cache_of_keys_and_values_stays_fused() -> None:
    b = Builder("cached")
    x = b.input("x", ["N", 1, 24])
    past = b.input("past", [2, "N", 4, 3, 6])
    inputs = [x, b.weight([24, 72], fan_in=24), b.vector(72), "", past]
    mixed, present = b.nodes("Attention", inputs, 2, domain=MICROSOFT, num_heads=4)
    model = b.model(b.declare(mixed, ["N", 1, 24]), b.declare(present, [2, "N", 4, 4, 6]))
    assert [node.op for node in apart(model).nodes] == ["Attention"]
    assert run(apart(model), feeds(model, seed=0))[0].shape[1:] == (1, 24)


def decoder(packed: bool, cached: bool) -> tuple[onnx.ModelProto, dict[str, np.ndarray]]:
    """Six heads of queries share two of keys and values, which follow two others in a cache."""
    b = Builder("decoder")
    steps = 1 if cached else 3
    x = b.input("x", ["N", steps, 10])
    parts = [b.matmul(x, 80), "", ""] if packed else [b.matmul(x, width) for width in (48, 16, 16)]
    past = [b.input(name, ["N", 2, 2, 8]) if cached else "" for name in ("past_key", "past_value")]
    counts = [b.input("last", ["N"], np.int32), b.input("total", [], np.int32)]
    heads = {"num_heads": 6, "kv_num_heads": 2, "scale": 0.3}
    mixed, *presents = b.nodes(
        "GroupQueryAttention", [*parts, *past, *counts], 3 if cached else 1, domain=MICROSOFT, **heads
    )
    presents = [b.declare(name, ["N", 2, 3, 8]) for name in presents]
    model = b.model(b.matmul(b.declare(mixed, ["N", steps, 48]), 5), *presents)
    found = feeds(model, seed=0)
    batch = len(found["x"])
    return model, found | {"last": np.full(batch, 2, np.int32), "total": np.asarray(3, np.int32)}


@pytest.mark.parametrize(("cached", "cells"), [(True, (2, 3)), (False, (1, 2))])
@pytest.mark.parametrize("packed", [False, True])
def test_heads_of_shared_keys_go(packed: bool, cached: bool, cells: tuple[int, int]) -> None:
    model, inputs = decoder(packed, cached)
    graph = apart(model)
    assert distance(graph_of(model), graph, inputs) < 1e-5
    channels = analyse(graph)
    (group,) = channels.groups
    assert group.cells.shape == cells
    copy = graph.copy()
    kept = {group.name: group.cells[:, 1:].ravel()}
    remove(copy, channels, kept)
    assert distance(masked(graph, channels, kept), copy, inputs) < 1e-5
    attributes = next(node for node in copy.nodes if node.op == "GroupQueryAttention").attributes
    assert (attributes["num_heads"], attributes["kv_num_heads"]) == ((4, 2) if cached else (3, 1))


@pytest.mark.parametrize("segments", [False, True])
@pytest.mark.parametrize("places", [False, True])
def test_an_embedding_of_tokens_is_free(segments: bool, places: bool) -> None:
    b = Builder("embedding")
    ids = [b.input(name, ["N", 6], np.int32) for name in ("ids", *["kinds"] * segments, *["places"] * places)]
    tables = [b.weight([9, 24], fan_in=1), b.weight([7, 24], fan_in=1), b.weight([3, 24], fan_in=1) if segments else ""]
    inputs = [ids[0], ids[1] if segments else "", *tables, b.vector(24, 0.6, 1.4, "gamma"), b.vector(24)]
    names = b.nodes(
        "EmbedLayerNormalization", [*inputs, *(["", ids[-1]] if places else [])], 3, domain=MICROSOFT, epsilon=1e-5
    )
    normal, total = (b.declare(names[place], ["N", 6, 24]) for place in (0, 2))
    model = b.model(b.matmul(b.add(normal, b.matmul(total, 24)), 5))
    given = {name: array % 3 for name, array in feeds(model, seed=0).items()}
    graph = apart(model)
    assert distance(graph_of(model), graph, given) < 1e-5
    channels = analyse(graph)
    assert [group.width for group in channels.groups] == [24]
    kept = some(channels, np.random.default_rng(0))
    copy = graph.copy()
    remove(copy, channels, kept)
    assert distance(masked(graph, channels, kept), copy, given) < 1e-5


@pytest.mark.parametrize(("lengths", "apart_then"), [(["N"], True), ([2], False), (["K"], False), (["N", 6], True)])
def test_a_mask_of_ends_and_starts_stays_fused(lengths: list[int | str], apart_then: bool) -> None:
    b = Builder("masked")
    x = b.input("x", ["N", 6, 24])
    mask = b.input("lengths", lengths, np.int32)
    mixed = b.node("Attention", [x, b.weight([24, 72]), "", mask], domain=MICROSOFT, num_heads=4)
    model = b.model(b.matmul(b.declare(mixed, ["N", 6, 24]), 5))
    graph = apart(model)
    assert any(node.op == "MultiHeadAttention" for node in graph.nodes) == apart_then
    x_values = np.random.default_rng(0).standard_normal((2, 6, 24)).astype(np.float32)
    inputs = {"x": x_values, "lengths": np.full([2, 6][: len(lengths)], 1, np.int32) * 4}
    assert distance(graph_of(model), graph, inputs) < 1e-5


def test_lengths_that_the_graph_counts_itself_are_understood() -> None:
    """As the optimiser leaves it: sums of the mask that is given, whose form is declared nowhere."""
    b = Builder("counted")
    given = b.input("mask", ["N", 6], np.int32)
    lengths = b.node("ReduceSum", [given, b.const(np.array([1]))], keepdims=0)
    x = b.matmul(b.input("x", ["N", 6, 10]), 24)
    inputs = [x, b.weight([24, 72], fan_in=24), b.vector(72), lengths]
    mixed = b.declare(b.node("Attention", inputs, domain=MICROSOFT, num_heads=4), ["N", 6, 24])
    model = b.model(b.matmul(mixed, 5))
    del model.graph.value_info[:]
    graph = apart(model)
    assert any(node.op == "MultiHeadAttention" for node in graph.nodes) and len(analyse(graph).groups) == 3
    mask = np.array([[1] * 6, [1] * 4 + [0] * 2], np.int32)
    assert distance(graph_of(model), graph, {**feeds(model, 0, 2), "mask": mask}) < 1e-5
