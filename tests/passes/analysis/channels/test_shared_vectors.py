"""Vectors that several nodes read, as exporters that merge equal constants write them, tie no channels."""

import numpy as np
from oracle import checked, graph_of, removed
from zoo.builder import Builder

from optimise_onnx.ir.graph import Graph
from optimise_onnx.passes.analysis.channels.groups import analyse


def test_one_bias_of_a_whole_network_ties_nothing() -> None:
    b, h = Builder("one_bias"), ""
    bias = b.vector(12)
    h = b.relu(b.conv_with(b.input("x", ["N", 3, 8, 8]), [b.weight([12, 3, 3, 3]), bias]))
    for _ in range(3):
        h = b.relu(b.conv_with(h, [b.weight([12, 12, 3, 3]), bias]))
    found = checked(b, b.head(h, 5))
    assert [group.width for group in found.groups] == [12, 12, 12, 12]
    assert len(found.pins) == 1  # the output


def test_equal_parts_of_it_are_stored_once() -> None:
    b = Builder("zeros")
    zeros = b.vector(8, 0, 0)
    first = b.relu(b.conv_with(b.input("x", ["N", 3, 8, 8]), [b.weight([8, 3, 3, 3]), zeros]))
    second = b.relu(b.conv_with(first, [b.weight([8, 8, 3, 3]), zeros]))
    third = b.relu(b.conv_with(second, [b.weight([8, 8, 3, 3]), zeros]))
    graph = graph_of(b.model(b.head(third, 5)))
    found = analyse(graph)
    one = removed(graph, found, {group.name: group.cells[:, :4] for group in found.groups})
    assert [array.shape for array in _biases(one)] == [(4,)]
    other = removed(graph, found, {found.groups[0].name: found.groups[0].cells[:, :4]})
    assert sorted(array.shape for array in _biases(other)) == [(4,), (8,)]


def _biases(graph: Graph) -> list[np.ndarray]:
    return [tensor.array for tensor in graph.constants() if tensor.array.ndim == 1 and not tensor.array.any()]


def test_parameters_of_batch_norms_and_slopes_tie_nothing() -> None:
    b = Builder("merged_norms")
    x, ones, zeros = b.input("x", ["N", 3, 8, 8]), b.vector(12, 1, 1), b.vector(12, 0, 0)
    slope = b.const(np.full((12, 1, 1), 0.25, np.float32), "slope")
    h = x
    for _ in range(2):
        h = b.node("BatchNormalization", [b.conv(h, 12), ones, zeros, zeros, ones])
        h = b.node("PRelu", [h, slope])
    found = checked(b, b.head(h, 5))
    assert [group.width for group in found.groups] == [12, 12]


def test_zero_points_behind_dequantisations_tie_nothing() -> None:
    b = Builder("merged_zero_points")
    h, points = b.input("x", ["N", 3, 8, 8]), b.const(np.zeros(12, np.int8), "zero_point")
    for inputs in (3, 12):
        stored = b.const(np.arange(12 * inputs * 9, dtype=np.int8).reshape(12, inputs, 3, 3), "quantised")
        weight = b.node("DequantizeLinear", [stored, b.vector(12, 0.1, 0.2), points], axis=0)
        h = b.relu(b.conv_with(h, [weight, b.vector(12)]))
    found = checked(b, b.head(h, 5))
    assert [group.width for group in found.groups] == [12, 12]


def test_a_branch_of_if_keeps_what_it_reads_and_the_others_get_their_own() -> None:
    from onnx import TensorProto, helper

    b = Builder("captured")
    bias = b.vector(12)
    first = b.relu(b.conv_with(b.input("x", ["N", 3, 8, 8]), [b.weight([12, 3, 3, 3]), bias]))
    second = b.relu(b.conv_with(first, [b.weight([12, 12, 3, 3]), bias]))
    out = b.head(second, 12)
    value = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    nodes = {op: helper.make_node(op, [out, bias], ["y"]) for op in ("Add", "Sub")}
    branches = {op: helper.make_graph([node], op, [], [value]) for op, node in nodes.items()}
    flag = b.const(np.array(True), "flag")
    y = b.node("If", [flag], then_branch=branches["Add"], else_branch=branches["Sub"])
    found = checked(b, y)
    assert sorted(group.width for group in found.groups) == [12, 12]
