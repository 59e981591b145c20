"""``flow``: what no weight or only small ones write goes first, whatever its readers weigh."""

import numpy as np
import pytest
from oracle import graph_of
from zoo.builder import Builder

from optimise_onnx.backends.ort import OrtRunner
from optimise_onnx.ir.graph import Graph
from optimise_onnx.passes.base import Context
from optimise_onnx.passes.manager import apply
from optimise_onnx.passes.select.flow import FLOW
from optimise_onnx.passes.select.select_channels import SelectChannels
from optimise_onnx.testing import check_criterion


def test_it_is_a_criterion() -> None:
    check_criterion(FLOW)


def network(factors: dict[str, float]) -> Graph:
    """Two convolutions of four channels that are added; the filter of channel 2 of those named is scaled."""
    b = Builder("residual")
    x = b.input("x", ["N", 3, 6, 6])
    graph = graph_of(b.model(b.conv(b.add(b.conv(x, 4), b.conv(x, 4)), 5)))
    for name, factor in factors.items():
        weight = graph.node(name).inputs[1]
        scale = np.where(np.arange(4) == 2, factor, 1.0).reshape(4, 1, 1, 1)
        graph.set_array(weight, (weight.array * scale).astype(np.float32))
    return graph


def order(graph: Graph) -> list[int]:
    shared = Context(OrtRunner(1), graph)
    apply(SelectChannels(criterion="flow"), graph, shared)
    assert shared.plan.ranking is not None
    (group,) = shared.plan.ranking.channels.groups
    ranks = shared.plan.ranking.groups[group.name].order.ravel()
    return [int(np.flatnonzero(group.cells.ravel() == each)[0]) for each in ranks]


@pytest.mark.parametrize(("factor", "place"), [(1e-3, 0), (1e3, 3)])
def test_the_strength_of_all_writers_counts(factor: float, place: int) -> None:
    convolutions = [node.name for node in network({}).nodes if node.op == "Conv"][:2]
    assert order(network(dict.fromkeys(convolutions, factor)))[place] == 2
    assert order(network({convolutions[0]: 1e3, convolutions[1]: 1e-3}))[3] == 2  # a sum is as strong as its strongest


def test_channels_on_another_axis_than_the_layers_outputs() -> None:
    """A product over the last axis, while channels lie on the second and are read there."""
    b = Builder("mixed")
    x = b.conv(b.input("x", ["N", 3, 4, 6]), 5)
    graph = graph_of(b.model(b.conv(b.node("MatMul", [x, b.weight([6, 1])]), 2, k=1)))
    assert sorted(order(graph)) == list(range(5))
