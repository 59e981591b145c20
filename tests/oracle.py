"""The zero-mask oracle for tests: what removal must reproduce, run exactly in onnxruntime."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from zoo import ZOO
from zoo import feeds as random_feeds
from zoo.builder import Builder

from optimise_onnx.frontends.normalise import normalise
from optimise_onnx.ir.graph import Graph
from optimise_onnx.passes.analysis.channels.groups import Channels, analyse
from optimise_onnx.passes.analysis.channels.masking import masked
from optimise_onnx.passes.analysis.channels.removal import keep_mask, remove

Array = NDArray[Any]
Kept = dict[str, Array]


def graph_of(model: onnx.ModelProto) -> Graph:
    """Import a model as the front end does, without its checks."""
    return Graph.of(normalise(model)[0])


@cache
def known(name: str) -> tuple[onnx.ModelProto, Graph, Channels]:
    """Return a model of the zoo, its graph and its channels, made once: for tests that change none of them."""
    model = ZOO[name]()
    graph = graph_of(model)
    return model, graph, analyse(graph)


def run(graph: Graph, feeds: Mapping[str, Array]) -> list[Array]:
    """Return the outputs with onnxruntime's own graph optimisation off, on one thread."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    model = graph.to_model().SerializeToString()
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return [np.asarray(array) for array in session.run(None, dict(feeds))]


def half(channels: Channels, rng: np.random.Generator) -> Kept:
    """Keep a random half of every cell, at least one unit."""
    return _chosen(channels, {group.name: max(1, group.width // 2) for group in channels.groups}, rng)


def some(channels: Channels, rng: np.random.Generator) -> Kept:
    """Keep a random number of units of every group, none included."""
    counts = {group.name: int(rng.integers(0, group.width + 1)) for group in channels.groups}
    return _chosen(channels, counts, rng)


def _chosen(channels: Channels, counts: Mapping[str, int], rng: np.random.Generator) -> Kept:
    """Draw the units of every cell on its own; groups without which a tensor would be empty stay whole."""
    kept = {
        group.name: np.concatenate([rng.choice(cell, counts[group.name], replace=False) for cell in group.cells])
        for group in channels.groups
    }
    for floor in channels.floors:
        if not keep_mask(channels, kept)[floor].any():
            group = next(group for group in channels.groups if np.isin(floor, group.cells).any())
            kept[group.name] = group.cells.ravel()
    return kept


def removed(graph: Graph, channels: Channels, kept: Mapping[str, Array]) -> Graph:
    """Return a copy without the channels that do not stay."""
    copy = graph.copy()
    remove(copy, channels, kept)
    return copy


def distance(graph: Graph, other: Graph, feeds: Mapping[str, Array]) -> float:
    """Return the largest difference between two graphs' outputs, relative to the largest entry of each output."""
    worst = 0.0
    for one, two in zip(run(graph, feeds), run(other, feeds), strict=True):
        assert one.shape == two.shape
        if one.size:
            a, b = one.astype(np.float64), two.astype(np.float64)
            worst = max(worst, float(np.abs(a - b).max() / (np.abs(a).max() + 1e-9)))
    return worst


def oracle_error(graph: Graph, channels: Channels, kept: Mapping[str, Array], feeds: Mapping[str, Array]) -> float:
    """Return how far the pruned graph is from the one whose removed channels read as zero."""
    return distance(masked(graph, channels, kept), removed(graph, channels, kept), feeds)


def checked(b: Builder, *outputs: str, seeds: int = 5) -> Channels:
    """Analyse a network, remove at random several times, and return its channels."""
    model = b.model(*outputs)
    graph = graph_of(model)
    channels = analyse(graph)
    for seed in range(seeds):
        kept = some(channels, np.random.default_rng(seed))
        assert oracle_error(graph, channels, kept, random_feeds(model, seed=0)) < 1e-5
    return channels


def shapes(channels: Channels) -> dict[str, tuple[int, int]]:
    """Cells and width of each group by name."""
    return {group.name: group.cells.shape for group in channels.groups}
