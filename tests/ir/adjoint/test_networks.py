"""Gradients of whole networks by all their weights."""

import numpy as np
import pytest
from derivatives.differences import agree
from oracle import graph_of
from zoo import ARCHITECTURES, ZOO, feeds

from optimise_onnx.ir.graph import Graph

SHAPES_AT_RUN_TIME = ["dynamic_pixels", "resize_to_skip", "slice_shape_end", "shape_channels", "expand_channels"]


def weights(graph: Graph) -> list[str]:
    """Name the weights but for what has no gradient: stored statistics and scales of a Resize."""
    fixed = {
        tensor.name
        for node in graph.nodes
        for tensor in {"BatchNormalization": node.inputs[3:], "Resize": node.inputs[1:]}.get(node.op, [])
    }
    return [t.name for t in graph.constants() if t.dtype == np.float32 and t.array.size > 1 and t.name not in fixed]


@pytest.mark.parametrize("name", [*ARCHITECTURES, *SHAPES_AT_RUN_TIME])
def test_gradients_by_all_weights_are_those_of_finite_differences(name: str) -> None:
    model = ZOO[name]()
    graph = graph_of(model)
    agree(graph.to_model(), feeds(model, seed=0), weights(graph), together=True)
