"""The verifier accepts every model of the zoo and refuses each way of breaking one."""

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from onnx import helper
from zoo import ZOO

from optimise_onnx.frontends.load import load
from optimise_onnx.ir.errors import VerificationError
from optimise_onnx.ir.graph import Graph
from optimise_onnx.ir.printer import text
from optimise_onnx.ir.verify import check_interface, verify


def chain() -> Graph:
    """y = Relu(x + c), z = Neg(y)."""
    value = helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["N", 2])
    output = helper.make_tensor_value_info("z", onnx.TensorProto.FLOAT, ["N", 2])
    nodes = [
        helper.make_node("Add", ["x", "c"], ["sum"], name="add"),
        helper.make_node("Relu", ["sum"], ["y"], name="relu"),
        helper.make_node("Neg", ["y"], ["z"], name="neg"),
    ]
    weight = onnx.numpy_helper.from_array(np.ones(2, np.float32), "c")
    opset = [helper.make_opsetid("", 17)]
    return Graph.of(helper.make_model(helper.make_graph(nodes, "g", [value], [output], [weight]), opset_imports=opset))


def test_every_model_of_the_zoo_is_well_formed_and_prints() -> None:
    for name in sorted(ZOO)[::6]:
        graph, _ = load(ZOO[name]())
        verify(graph, graph.copy())
        assert len(text(graph).splitlines()) == len(graph.nodes) + 2, name


def swap(graph: Graph) -> None:
    graph.node("relu").set_input(0, graph.tensors()["z"])


def drop(graph: Graph) -> None:
    graph.remove(graph.node("relu"))


def orphan(graph: Graph) -> None:
    graph.remove(graph.node("neg"))


def twins(graph: Graph) -> None:
    """Insert a second tensor called `sum`."""
    relu = graph.node("relu")
    clone = graph.copy().tensors()["sum"]
    relu.set_outputs([clone])
    graph.node("neg").set_input(0, clone)


def no_such_op(graph: Graph) -> None:
    graph.node("relu").set_op("Reluuu")


def other_output(graph: Graph) -> None:
    graph.set_outputs([graph.tensors()["y"]])


@pytest.mark.parametrize(
    ("break_it", "said"),
    [
        (swap, "read too early.*'relu'.*computed later"),
        (drop, "'y' is read too early at Neg 'neg': no node computes it"),
        (orphan, "output 'z' is not computed"),
        (twins, "two tensors are called 'sum'"),
        (no_such_op, "the onnx checker refuses"),
        (other_output, "the outputs of the model changed"),
    ],
)
def test_each_way_of_breaking_a_graph_is_named(break_it: Callable[[Graph], None], said: str) -> None:
    graph = chain()
    original = graph.copy()
    verify(graph, original)
    break_it(graph)
    with pytest.raises(VerificationError, match=said):
        verify(graph, original)


def test_symbols_may_be_renamed_but_dimensions_not() -> None:
    def model(shape: list[int | str]) -> Graph:
        value = helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, shape)
        output = helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, shape)
        node = helper.make_node("Relu", ["x"], ["y"])
        return Graph.of(helper.make_model(helper.make_graph([node], "g", [value], [output])))

    check_interface(model(["N", 2]), model(["batch", 2]))
    with pytest.raises(VerificationError, match=r"\[\?, 2\] instead of 'x' float32\[\?, 3\]"):
        check_interface(model(["N", 2]), model(["N", 3]))


def test_a_graph_prints_one_line_a_node() -> None:
    assert text(chain()) == (
        "graph(x: float32[N, 2])  # opset 17\n"
        "  sum = Add(x, c: float32[1.0, 1.0])\n"
        "  y = Relu(sum)\n"
        "  z = Neg(y)\n"
        "  return z: float32[N, 2]\n"
    )
