"""Networks with parts whose shapes inference does not tell: a run shows them, and what stays is named with its cost."""

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from oracle import distance, graph_of, half, masked, removed
from zoo.builder import Builder

from optimise_onnx.backends.ort import OrtRunner
from optimise_onnx.ir.cost import cost, total, unknown_layers
from optimise_onnx.ir.errors import UnsupportedOpError
from optimise_onnx.ir.graph import Graph
from optimise_onnx.passes.analysis.channels.groups import analyse
from optimise_onnx.passes.analysis.costs.sums import MACS, PARAMS
from optimise_onnx.passes.base import Context
from optimise_onnx.passes.cleanup.require_rules import RequireRules
from optimise_onnx.tools.analysis import Analysis
from optimise_onnx.tools.report import pin_lines
from optimise_onnx.tools.sizing import sized


def choice(b: Builder, bodies: dict[str, list[onnx.NodeProto]], weights: dict[str, np.ndarray] | None = None) -> str:
    """An If whose branches end in 'y' of no declared shape."""
    stored = {name: numpy_helper.from_array(array, name) for name, array in (weights or {}).items()}
    graphs = []
    for name, nodes in bodies.items():
        used = {read for node in nodes for read in node.input}
        inner = [tensor for key, tensor in stored.items() if key in used]
        value = helper.make_tensor_value_info(nodes[-1].output[0], TensorProto.FLOAT, None)
        graphs.append(helper.make_graph(nodes, name, [], [value], inner))
    return b.node("If", [b.input("flag", [], np.bool_)], then_branch=graphs[0], else_branch=graphs[1])


def scaled_by_branch() -> Graph:
    b = Builder("behind_if")
    x = b.input("x", ["N", 3, 8, 8])
    bodies = {op: [helper.make_node(op, [x], [op])] for op in ("Relu", "Neg")}
    seen = choice(b, bodies)
    h = seen
    for inputs in (3, 12):
        h = b.relu(b.conv_with(h, [b.weight([12, inputs, 3, 3]), b.vector(12)]))
    return graph_of(b.model(b.relu(b.conv_with(h, [b.weight([5, 12, 3, 3]), b.vector(5)]))))


def known(graph: Graph) -> Graph:
    return sized(graph, OrtRunner())


def test_layers_behind_a_branch_can_be_counted_and_pruned() -> None:
    graph = known(scaled_by_branch())
    assert total(cost(graph)).macs == 64 * 9 * (3 * 12 + 12 * 12 + 12 * 5)
    channels = analyse(graph)
    assert [group.width for group in channels.groups] == [12, 12]
    kept = half(channels, np.random.default_rng(0))
    small = removed(graph, channels, kept)
    inputs = {"x": np.random.default_rng(1).standard_normal((4, 3, 8, 8)).astype(np.float32), "flag": np.array(True)}
    assert distance(masked(graph, channels, kept), small, inputs) < 1e-5
    assert total(cost(small)).macs == 64 * 9 * (3 * 6 + 6 * 6 + 6 * 5)


def inside() -> Graph:
    """Two branches with layers of their own, the second the larger."""
    b = Builder("inside")
    x = b.input("x", ["N", 16])
    weights = {"small": np.ones((16, 4), np.float32), "wide": np.ones((16, 8), np.float32)}
    weights["back"] = np.ones((8, 4), np.float32)
    one = [helper.make_node("MatMul", [x, "small"], ["first"], name="only")]
    other = [helper.make_node("MatMul", [x, "wide"], ["mid"], name="up")]
    other.append(helper.make_node("MatMul", ["mid", "back"], ["second"], name="down"))
    return graph_of(b.model(b.node("Relu", [choice(b, {"then": one, "else": other}, weights)])))


def test_what_branches_hold_is_counted_and_named() -> None:
    found = Analysis.of(known(inside()), OrtRunner())
    whole = total(found.costs)
    assert (whole.macs, whole.parameters) == (16 * 8 + 8 * 4, 16 * 4 + 16 * 8 + 8 * 4)
    (line,) = [line for line in found.pins if line.pin.op == "If"]
    assert sorted(line.pin.why.partition("inside: ")[2].split(", ")) == ["down", "only", "up"]
    assert (line.cost.macs, line.cost.parameters) == (whole.macs, whole.parameters)
    assert found.free.macs == found.free.parameters == 0


def test_a_body_that_is_repeated_has_no_known_macs() -> None:
    b = Builder("loop")
    x = b.input("x", [2, 4])
    names = ("i", TensorProto.INT64, []), ("go", TensorProto.BOOL, []), ("h", TensorProto.FLOAT, [2, 4])
    weight = numpy_helper.from_array(np.ones((4, 4), np.float32), "inner")
    nodes = [helper.make_node("MatMul", ["h", "inner"], ["out"], name="step")]
    nodes.append(helper.make_node("Identity", ["go"], ["on"]))
    outs = ("on", TensorProto.BOOL, []), ("out", TensorProto.FLOAT, [2, 4])
    values = [[helper.make_tensor_value_info(*value) for value in each] for each in (names, outs)]
    body = helper.make_graph(nodes, "body", *values, [weight])
    y = b.node("Loop", [b.const(np.array(3), "trips"), b.const(np.array(True), "go0"), x], body=body)
    graph = known(graph_of(b.model(b.node("Relu", [y]))))
    assert unknown_layers(graph) == ("loop_0",)
    with pytest.raises(UnsupportedOpError, match="the MACs of this node cannot be told at Loop 'loop_0'") as refused:
        MACS.of(graph)
    assert refused.value.exit_code == 6
    assert PARAMS.of(graph) == 16
    assert any("inside: step" in pin.why for _, pin in analyse(graph).pins)
    assert any("'loop_0'" in note for note in Analysis.of(graph, OrtRunner()).notes)


def contrib(op: str, domain: str = "com.microsoft") -> Graph:
    b = Builder("contrib")
    x = b.input("x", ["N", 3, 8, 8])
    options = {"activation": "Relu", "kernel_shape": [3, 3], "pads": [1, 1, 1, 1]} if op == "FusedConv" else {}
    weight = b.weight([12, 3, 3, 3])
    model = b.model(b.conv_relu(x, 5))
    model.opset_import.append(helper.make_opsetid(domain, 1))
    model.graph.node[0].input[0] = "h"
    model.graph.node.insert(0, helper.make_node(op, [x, weight], ["h"], name="other", domain=domain, **options))
    model.graph.initializer[1].CopyFrom(
        numpy_helper.from_array(np.ones((5, 12, 3, 3), np.float32), model.graph.initializer[1].name)
    )
    return graph_of(model)


def test_a_fused_layer_is_counted_and_pinned_with_its_cost() -> None:
    graph = known(contrib("FusedConv"))
    assert total(cost(graph)).macs == 64 * 9 * (3 * 12 + 12 * 5)
    (line,) = [line for line in pin_lines(analyse(graph)) if line.pin.op == "FusedConv"]
    assert (line.pin.node, line.cost.macs, line.cost.parameters) == ("other", 64 * 9 * 36, 9 * 36)


def test_a_layer_that_nobody_knows_is_not_counted() -> None:
    graph = contrib("Mystery", "of.others")
    assert unknown_layers(graph)[0] == "other"
    with pytest.raises(UnsupportedOpError, match="Mystery 'other'"):
        MACS.of(graph)


@pytest.mark.parametrize("make", [scaled_by_branch, inside, lambda: contrib("FusedConv")])
def test_strict_refuses_what_has_no_rule_wherever_it_stands(make: Callable[[], Graph]) -> None:
    graph = known(make())
    with pytest.raises(UnsupportedOpError, match="the channel analysis has no rule"):
        RequireRules().run(graph, Context(OrtRunner(), graph))
