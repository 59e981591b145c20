"""Widths as UCP gives them: which groups are cut, by what, and that the target is met all the same."""

import numpy as np
import pytest
from oracle import graph_of
from zoo import ARCHITECTURES

from optimise_onnx.passes.allocate.stages import cut_by_ucp, residual_stream
from optimise_onnx.passes.allocate.ucp import ucp
from optimise_onnx.passes.analysis.channels.groups import analyse
from tests.passes.allocate.test_methods import lost, shrunk


def weighted(kept: np.ndarray) -> float:
    return float(kept @ np.array([3.0, 1.0, 2.0]))


@pytest.mark.parametrize("budget", [12.0, 20.0, 30.0, 40.0, 50.0, 59.0])
def test_one_ratio_for_streams_and_one_threshold_for_the_rest(budget: float) -> None:
    levels = [np.arange(8, 0, -1), np.arange(8, 0, -1), np.array([8, 4])]
    scores = [np.ones(8), np.array([1, 2, 3, 4, 5, 6, 7, 12.0]), np.array([4, 4, 4, 4, 8, 8, 8, 8.0])]
    kept = ucp(levels, scores, np.array([True, False, False]), weighted, budget)
    tried = []
    for ratio in np.linspace(0, 1, 2001):
        above = [int((each > (1 - ratio) * 2.4 * each.mean()).sum()) for each in scores[1:]]
        streams = int(max(1, np.ceil(8 * ratio - 0.5)))
        tried.append([streams, max(1, above[0]), 4 if above[1] <= 4 else 8])
    allowed = [each for each in tried if weighted(np.array(each)) <= budget]
    if not allowed:
        assert kept is None
        return
    least = np.array(max(allowed, key=lambda each: weighted(np.array(each))))
    assert kept is not None and (kept >= least).all() and weighted(kept) <= budget


def test_equal_scores_do_not_all_go() -> None:
    levels = [np.arange(8, 0, -1), np.arange(4, 0, -1)]
    kept = ucp(levels, [np.zeros(8), np.array([0, 0, 0, 1.0])], np.zeros(2, bool), lambda kept: float(kept.sum()), 7.0)
    assert kept is not None and kept.sum() == 7
    assert ucp([], [], np.zeros(0, bool), lambda kept: 0.0, 1.0) is not None


@pytest.mark.parametrize(
    ("name", "cut"),
    [
        ("resnet_projection", {"conv_0_out", "conv_6_out", "conv_11_out"}),
        ("resnext", {"conv_2_out", "conv_5_out", "conv_9_out"}),
        ("se_residual", {"conv_0_out", "conv_5_out"}),
        ("mobilenet_v2", {"conv_1_out", "conv_4_out", "conv_7_out", "conv_10_out"}),
    ],
)
def test_streams_of_basic_blocks_and_middles_of_bottlenecks(name: str, cut: set[str]) -> None:
    graph = graph_of(ARCHITECTURES[name]())
    channels = analyse(graph)
    found = cut_by_ucp(channels, residual_stream(graph, channels))
    assert {group.name for group, yes in zip(channels.groups, found, strict=True) if yes} == cut


def test_plain_networks_lose_what_scores_least() -> None:
    reached, _, plan = shrunk(ARCHITECTURES["vgg_gap"](), "macs=0.5x", allocation="ucp")
    assert 0.4 < reached <= 0.5 and plan.ranking is not None
    relative = {
        name: np.diff(ranked.curve) / np.diff(ranked.curve).mean() for name, ranked in plan.ranking.groups.items()
    }
    gone = [relative[name][round(share * len(relative[name])) - 1] for name, share in lost(plan).items() if share]
    stays = [relative[name][round(share * len(relative[name]))] for name, share in lost(plan).items()]
    assert max(gone) <= min(stays)


@pytest.mark.parametrize("target", ["macs=0.8x", "macs=0.03x"])
def test_the_insides_of_basic_blocks_stay_where_that_suffices(target: str) -> None:
    reached, _, plan = shrunk(ARCHITECTURES["resnet_projection"](), target, allocation="ucp")
    share = float(target[5:-1])
    assert 0.5 * share < reached <= share
    inner = [part for name, part in lost(plan).items() if name not in ("conv_0_out", "conv_6_out", "conv_11_out")]
    assert any(inner) == (share < 0.5)
