"""What the library under the graph would lose is read and written all the same."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from optimise_onnx.ir.graph import Graph

KINDS = [number for name, number in TensorProto.DataType.items() if name not in ("UNDEFINED", "STRING")]


def model(node: onnx.NodeProto, *stored: TensorProto, kind: int = TensorProto.FLOAT) -> onnx.ModelProto:
    x, y = (helper.make_tensor_value_info(name, kind, ["N", 4]) for name in "xy")
    graph = helper.make_graph([node], "g", [x], [y], stored)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.mark.parametrize("kind", KINDS)
def test_every_element_type_is_written_as_it_was_read(kind: int) -> None:
    array = np.arange(4).astype(helper.tensor_dtype_to_np_dtype(kind))
    read = Graph.of(model(helper.make_node("Add", ["x", "c"], ["y"]), numpy_helper.from_array(array, "c"), kind=kind))
    (written,) = read.copy().to_model().graph.initializer
    assert written.data_type == kind
    assert numpy_helper.to_array(written).tobytes() == array.tobytes()
    assert [np.dtype(tensor.dtype) for tensor in (*read.inputs, *read.constants())] == [array.dtype] * 2


@pytest.mark.parametrize(
    ("op", "name", "kind"),
    [
        ("Transpose", "perm", onnx.AttributeProto.INTS),
        ("ReduceMax", "axes", onnx.AttributeProto.INTS),
        ("RNN", "activation_alpha", onnx.AttributeProto.FLOATS),
        ("LSTM", "activations", onnx.AttributeProto.STRINGS),
    ],
)
def test_empty_lists_keep_their_type(op: str, name: str, kind: int) -> None:
    node = helper.make_node(op, ["x"], ["y"])
    node.attribute.add(name=name, type=kind)
    graph = Graph.of(model(node))
    assert graph.nodes[0].attributes == {name: []} and graph.nodes[0].attribute(name, 17) == []
    assert graph.copy().to_model().graph.node[0].attribute == node.attribute
    graph.nodes[0].set_attribute(name, [])
    assert graph.to_model().graph.node[0].attribute == node.attribute


def test_an_empty_list_in_a_new_node_gets_the_type_of_the_schema() -> None:
    graph = Graph.of(model(helper.make_node("Relu", ["x"], ["y"])))
    graph.insert("LSTM", [], [graph.variable("z")], {"activations": []})
    assert graph.to_model().graph.node[1].attribute[0].type == onnx.AttributeProto.STRINGS


def test_attributes_of_other_kinds_stay() -> None:
    kind = helper.make_tensor_type_proto(TensorProto.FLOAT, [2])
    inner = helper.make_node("Optional", [], ["o"], type=kind)
    branch = helper.make_graph([inner], "b", [], [onnx.ValueInfoProto(name="o")])
    node = helper.make_node("If", ["x"], ["y"], then_branch=branch, else_branch=branch)
    (written,) = Graph.of(model(node)).to_model().graph.node
    assert [attribute.g.node[0].attribute[0].tp for attribute in written.attribute] == [kind, kind]
