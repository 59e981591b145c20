"""Uniform widths: the largest ratio that the budget allows, stages alike; what counts as a stage and as the stream."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import graph_of
from zoo import ARCHITECTURES
from zoo.builder import Builder

from optimise_onnx.ir.graph import Graph
from optimise_onnx.passes.allocate.cost_model import CostModel, Term
from optimise_onnx.passes.allocate.stages import residual_stream, stages
from optimise_onnx.passes.allocate.uniform import uniform
from optimise_onnx.passes.analysis.channels.groups import Channels, analyse


def _levels(width: int, step: int = 1) -> np.ndarray:
    return np.array([k for k in range(width, 0, -1) if k == width or k % step == 0])


def _chain(widths: list[int]) -> CostModel:
    unit = np.eye(len(widths))
    terms = [Term(9.0, unit[k - 1] if k else unit[0] * 0, 0.0 if k else 3.0, unit[k]) for k in range(len(widths))]
    return CostModel.of(terms, len(widths), 10.0)


def _brute(levels: list[np.ndarray], cost: CostModel, budget: float) -> np.ndarray:
    """Try every ratio between two at which some group changes."""
    turns = {0.0, 1.0, *((a + b) / 2 / level[0] for level in levels for a, b in pairwise(level))}
    ratios = [0.0, *((a + b) / 2 for a, b in pairwise(sorted(turns))), 1.0]
    every = [np.array([level[np.abs(level - ratio * level[0]).argmin()] for level in levels]) for ratio in ratios]
    return max((kept for kept in every if cost(kept) <= budget), key=cost)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from([4, 6, 16, 31]), st.sampled_from([1, 2, 4])), min_size=1, max_size=5),
    st.floats(0.02, 0.98),
)
def test_the_largest_ratio_and_then_a_level_a_stage(kinds: list[tuple[int, int]], share: float) -> None:
    levels = [_levels(*kind) for kind in kinds]
    number = [sorted(set(kinds)).index(kind) for kind in kinds]
    cost = _chain([width for width, _ in kinds])
    least, whole = (cost(np.array([level[place] for level in levels])) for place in (-1, 0))
    budget = least + share * (whole - least)
    kept = uniform(levels, number, cost, budget)
    assert kept is not None and cost(kept) <= budget
    base = _brute(levels, cost, budget)
    for stage in set(number):
        members = [group for group, other in enumerate(number) if other == stage]
        assert len({int(kept[group]) for group in members}) == 1
        level = levels[members[0]]
        place, before = (level.tolist().index(int(widths[members[0]])) for widths in (kept, base))
        assert before - place in (0, 1)
        if place and place == before:
            more = kept.copy()
            more[members] = level[place - 1]
            assert cost(more) > budget


def test_what_costs_too_much_and_what_costs_too_little() -> None:
    levels, cost = [_levels(4), _levels(8, 4)], _chain([4, 8])
    assert uniform(levels, [0, 1], cost, cost(np.array([1, 4])) - 1) is None
    assert uniform(levels, [0, 1], cost, 1e9).tolist() == [4, 8]  # type: ignore[union-attr]


def _analysed(name: str) -> tuple[Graph, Channels]:
    graph = graph_of(ARCHITECTURES[name]())
    return graph, analyse(graph)


@pytest.mark.parametrize(
    ("name", "stream"),
    [
        ("mlp", set()),
        ("vgg_gap", set()),
        ("resnet_projection", {"conv_0_out", "conv_6_out", "conv_11_out"}),
        ("mobilenet_v2", {"conv_3_out", "conv_9_out"}),
    ],
)
def test_the_residual_stream(name: str, stream: set[str]) -> None:
    graph, channels = _analysed(name)
    found = residual_stream(graph, channels)
    assert {group.name for group, streams in zip(channels.groups, found, strict=True) if streams} == stream


def test_blocks_between_two_changes_of_resolution_are_a_stage() -> None:
    b = Builder("stages")
    h = b.conv_relu(b.input("x", ["N", 3, 16, 16]), 8)
    for width, stride in ((8, 1), (8, 1), (16, 2), (16, 1), (16, 1)):
        body = b.conv(b.conv_relu(h, width, stride=stride), width)
        h = b.relu(b.add(body, h if stride == 1 else b.conv(h, width, k=1, stride=stride)))
    graph = graph_of(b.model(b.head(h)))
    channels = analyse(graph)
    stream = residual_stream(graph, channels)
    found = stages(channels, stream)
    inner = [int(stage) for stage, streams in zip(found, stream, strict=True) if not streams]
    assert len(inner) == 5 and len(set(inner[:2])) == 1 and len(set(inner[2:])) == 1 and inner[0] != inner[2]
    assert not set(inner) & {int(stage) for stage, streams in zip(found, stream, strict=True) if streams}
