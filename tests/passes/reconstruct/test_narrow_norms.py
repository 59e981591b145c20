"""Norms of fewer channels become one node again where the samples bear it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracle import graph_of, run
from zoo import feeds
from zoo.builder import Builder

from optimise_onnx.backends.ort import OrtRunner
from optimise_onnx.ir.errors import UsageError
from optimise_onnx.ir.feeds import Calibration
from optimise_onnx.ir.graph import Graph
from optimise_onnx.passes.analysis.channels.groups import analyse
from optimise_onnx.passes.analysis.channels.opened_norms import opened_norms
from optimise_onnx.passes.analysis.channels.removal import remove
from optimise_onnx.passes.base import Context
from optimise_onnx.passes.reconstruct.narrow_norms import NarrowNorms, error, moments


def opened(offset: float, shift: bool = True, batch: int | str = "N") -> tuple[Graph, dict[str, np.ndarray]]:
    """A norm that has lost half of its channels; ``offset``: how far the mean of what is normalised wanders."""
    b = Builder("normed")
    x = b.input("x", [batch, 5, 6])
    wander = b.mul(b.node("ReduceSum", [x, b.ints(-1)]), b.const(offset))
    h = b.add(b.matmul(x, 12), wander)
    vectors = [b.vector(12, 0.6, 1.4, "gamma"), *([b.vector(12)] if shift else [])]
    model = b.model(b.matmul(b.node("LayerNormalization", [h, *vectors], axis=-1), 3))
    graph = graph_of(model)
    channels = analyse(graph)
    (group,) = (group for group in channels.groups if group.width == 12)
    remove(graph, channels, {group.name: group.cells[0][:6]})
    return graph, {"x": np.concatenate([feeds(model, seed=seed)["x"] for seed in range(30)])}


@pytest.mark.parametrize("shift", [False, True])
def test_a_norm_whose_mean_hardly_moves_becomes_one_node(shift: bool) -> None:
    graph, inputs = opened(0.0, shift)
    (norm,) = opened_norms(graph)
    assert norm.share == pytest.approx(0.5) and norm.shift.any() == shift
    before = graph.copy()
    outcome = NarrowNorms(most=0.2).run(graph, Context(OrtRunner(), graph, Calibration.from_arrays(inputs)))
    assert outcome.changed and not list(opened_norms(graph))
    assert sum(node.op == "LayerNormalization" for node in graph.nodes) == 1
    assert len(graph.nodes) < len(before.nodes) - 6
    exact, found = run(before, inputs)[0], run(graph, inputs)[0]
    assert 0 < np.mean((found - exact) ** 2) < 0.5 * np.var(exact)


def test_a_norm_whose_mean_wanders_keeps_the_statistics_of_all() -> None:
    graph, inputs = opened(5.0)
    nodes = len(graph.nodes)
    outcome = NarrowNorms().run(graph, Context(OrtRunner(), graph, Calibration.from_arrays(inputs)))
    assert not outcome.changed and len(graph.nodes) == nodes
    assert "0 of 1" in outcome.notes[0]


def test_without_data_nothing_changes() -> None:
    graph, _ = opened(0.0)
    assert not NarrowNorms().run(graph, Context(OrtRunner(), graph)).changed
    with pytest.raises(UsageError):
        NarrowNorms(most=1.0).run(graph, Context(OrtRunner(), graph))


@given(st.lists(st.floats(-3, 3), min_size=1, max_size=20), st.floats(0.05, 0.95), st.floats(0.5, 2), st.floats(-1, 1))
def test_the_error_is_that_of_every_position(moved: list[float], share: float, scale: float, shift: float) -> None:
    u = np.array(moved)
    factor = (share * (1 + (1 - share) * u**2)) ** -0.5
    added = (1 - share) * u * factor
    wanted = np.sum((factor - scale) ** 2 + (added - shift) ** 2) / np.sum(factor**2 + added**2)
    assert error(moments(u, share), scale, shift) == pytest.approx(wanted, abs=1e-9)


def test_a_model_of_one_sample_at_a_time() -> None:
    graph, inputs = opened(0.0, batch=1)
    outcome = NarrowNorms(most=0.2).run(graph, Context(OrtRunner(), graph, Calibration.from_arrays(inputs)))
    assert outcome.figures == {"norms_narrowed": 1}
