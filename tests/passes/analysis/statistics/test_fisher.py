"""The diagonal of the Fisher matrix by masks: the divergence of networks whose channels are scaled down a little."""

from collections.abc import Callable

import digits
import numpy as np
import pytest
from oracle import graph_of
from zoo.builder import Builder

from optimise_onnx.backends.ort import OrtRunner
from optimise_onnx.ir.errors import UnsupportedOpError
from optimise_onnx.ir.feeds import Calibration
from optimise_onnx.ir.graph import Array, Graph
from optimise_onnx.passes.analysis.channels.groups import Channels
from optimise_onnx.passes.analysis.statistics.divergence import TEMPERATURE
from optimise_onnx.passes.analysis.statistics.fisher import fisher
from optimise_onnx.passes.analysis.view import View

STEP = 0.05
RUNNER = OrtRunner(1)


def scaled(graph: Graph, channels: Channels, unit: int) -> Graph:
    """Multiply one class of channels by ``1 - STEP`` wherever a layer reads it."""
    copy = graph.copy()
    nodes = {node.name: node for node in copy.nodes}
    for end in channels.context.contractions:
        if (end.labels.atoms == unit).any():
            node = nodes[end.node]
            mask = copy.constant("mask", np.where(end.labels.atoms == unit, 1 - STEP, 1).astype(np.float32))
            out = copy.variable("scaled", np.float32)
            copy.insert("Mul", [node.inputs[end.operand], mask], [out], before=node)
            node.set_input(end.operand, out)
    return copy


def softened(scores: Array) -> Array:
    powers = np.exp((scores.astype(np.float64) - scores.max(1, keepdims=True)) / TEMPERATURE)
    return np.asarray(powers / powers.sum(1, keepdims=True))


def nats(before: Array, after: Array) -> float:
    p, q = softened(before), softened(after)
    return float((p * np.log(p / q)).sum(1).mean())


def squares(before: Array, after: Array) -> float:
    return float(((before - after) ** 2).sum() / len(before) / before.var() / 2)


def moves(
    graph: Graph, samples: Calibration, apart: Callable[[Array, Array], float], count: int
) -> tuple[Array, Array]:
    """Return, of some classes, how far the outputs move when each is scaled, and what the Fisher matrix says."""
    channels = View(graph).channels
    (feeds,) = samples.batches(samples.samples)
    before = next(iter(RUNNER.session(graph).run(feeds).values()))
    said = fisher(graph, channels, samples, RUNNER, np.random.default_rng(0), 6) * STEP**2 / 2
    rng = np.random.default_rng(1)
    units = np.concatenate([rng.choice(group.cells.ravel(), count, replace=False) for group in channels.groups])
    after = [next(iter(RUNNER.session(scaled(graph, channels, unit)).run(feeds).values())) for unit in units]
    return np.array([apart(before, values) for values in after]), said[units]


def test_scores_of_a_trained_network() -> None:
    samples = Calibration.from_arrays({"image": digits.samples().calibration[:192]})
    true, said = moves(digits.network(), samples, nats, 3)
    assert np.corrcoef(true, said)[0, 1] > 0.98
    assert np.median(said / true) == pytest.approx(1, abs=0.15)


def regression(flat: bool) -> Graph:
    """A convolution that two others read and one sums up again; its outputs are numbers of no classes."""
    b = Builder("regression")
    x = b.conv_relu(b.input("x", ["N", 3, 6, 6]), 6)
    y = b.add(b.conv_relu(x, 6), x)
    y = b.conv(y, 2)
    return graph_of(b.model(b.node("Erf", [y]) if flat else y))


@pytest.mark.parametrize("flat", [False, True])
def test_numbers_that_are_no_scores(flat: bool) -> None:
    rng = np.random.default_rng(2)
    samples = Calibration.from_arrays({"x": rng.standard_normal((150, 3, 6, 6)).astype(np.float32)})
    true, said = moves(regression(flat), samples, squares, 3)
    assert np.corrcoef(true, said)[0, 1] > 0.9


def test_batches_of_other_sizes_give_the_same_scale() -> None:
    graph = regression(False)
    values = np.random.default_rng(3).standard_normal((70, 3, 6, 6)).astype(np.float32)
    whole, part = (
        fisher(graph, View(graph).channels, Calibration.from_arrays({"x": x}), RUNNER, np.random.default_rng(0), 4)
        for x in (values, np.concatenate([values, values[:6]]))
    )
    assert np.median(whole[whole > 0] / part[whole > 0]) == pytest.approx(1, abs=0.15)


def test_a_node_without_a_gradient_is_named() -> None:
    b = Builder("lost")
    x = b.conv_relu(b.input("x", ["N", 3, 6, 6]), 6)
    graph = graph_of(b.model(b.node("Asinh", [b.conv(x, 2)])))
    samples = Calibration.from_arrays({"x": np.ones((4, 3, 6, 6), np.float32)})
    with pytest.raises(UnsupportedOpError, match="Asinh"):
        fisher(graph, View(graph).channels, samples, RUNNER, np.random.default_rng(0), 1)
