"""Initial states that are zero at every size are left out; others stay."""

import numpy as np
import onnx
import pytest
from oracle import distance, graph_of
from zoo import ZOO, feeds
from zoo.builder import Builder

from optimise_onnx.passes.cleanup.zero_states import drop_zero_states

HIDDEN = 8


def layer(value: float, kept: bool = False) -> onnx.ModelProto:
    """An LSTM as exporters write it: states of a computed shape, cut out of one tensor."""
    b = Builder("states")
    x = b.input("x", [6, "N", 10])
    batch = b.slice(b.node("Shape", [x]), 1, 2, axis=0)
    form = b.concat(b.ints(2), batch, b.ints(HIDDEN), axis=0)
    fill = onnx.numpy_helper.from_array(np.array([value], np.float32))
    states = b.declare(b.node("ConstantOfShape", [form], value=fill), [2, "N", HIDDEN])
    first, second = b.slice(states, 0, 1, axis=0), b.slice(states, 1, 2, axis=0)
    weights = [b.weight([1, 4 * HIDDEN, size], fan_in=size) for size in (10, HIDDEN)]
    cell = b.input("cell", [1, "N", HIDDEN]) if kept else second
    inputs = [x, *weights, b.const(b.uniform([1, 8 * HIDDEN], -1, 1)), "", first, cell]
    return b.model(*b.nodes("LSTM", inputs, 2, hidden_size=HIDDEN))


@pytest.mark.parametrize(("value", "kept", "left"), [(0.0, False, 4), (0.0, True, 7), (0.5, False, 7)])
def test_only_zeros_are_left_out(value: float, kept: bool, left: int) -> None:
    model = layer(value, kept)
    graph, inputs = graph_of(model), feeds(model, seed=0)
    dropped = drop_zero_states(graph)
    graph.clean()
    assert dropped == (2 if left == 4 else int(kept))
    (node,) = (node for node in graph.nodes if node.op == "LSTM")
    assert len(node.inputs) == left
    assert distance(graph_of(model), graph, inputs) == 0


def test_a_stored_state_stays() -> None:
    assert drop_zero_states(graph_of(ZOO["gru_last_state"]())) == 0
