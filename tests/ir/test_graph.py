"""Reading a model into the graph and writing it again: nothing is lost, and edits do what they say."""

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from oracle import run
from zoo import ZOO, feeds

from optimise_onnx.ir.graph import Graph


def model_of(*nodes: onnx.NodeProto, kind: int = TensorProto.FLOAT) -> onnx.ModelProto:
    """Nodes from ``x`` [N, 4] to ``y``, with a vector ``c`` and a scalar ``s``."""
    element = helper.tensor_dtype_to_np_dtype(kind)
    constants = [
        numpy_helper.from_array(np.arange(4).astype(element), "c"),
        numpy_helper.from_array(element.type(2), "s"),
    ]
    x, y = (helper.make_tensor_value_info(name, kind, ["N", 4]) for name in "xy")
    graph = helper.make_graph(list(nodes), "tested", [x], [y], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def chain() -> Graph:
    """y = Neg(Relu(x + c))."""
    nodes = [("Add", ["x", "c"], "sum"), ("Relu", ["sum"], "positive"), ("Neg", ["positive"], "y")]
    return Graph.of(model_of(*[helper.make_node(op, ins, [out], name=op.lower()) for op, ins, out in nodes]))


@pytest.mark.parametrize("name", ZOO)
def test_reading_and_writing_keeps_what_a_model_computes(name: str) -> None:
    model = ZOO[name]()
    graph, inputs = Graph.of(model), feeds(model, seed=0)
    written = Graph.of(graph.to_model())
    for wanted, got in zip(run(Graph.of(model), inputs), run(written, inputs), strict=True):
        np.testing.assert_array_equal(wanted, got)
    assert graph.to_model() == written.to_model()
    assert_interface(model, graph.to_model())


def assert_interface(model: onnx.ModelProto, written: onnx.ModelProto) -> None:
    stored = {tensor.name for tensor in model.graph.initializer}
    assert list(written.graph.input) == [value for value in model.graph.input if value.name not in stored]
    assert list(written.graph.output) == list(model.graph.output)
    assert list(written.opset_import) == list(model.opset_import)
    assert written.ir_version == model.ir_version


def test_metadata_is_kept() -> None:
    model = ZOO["mlp"]()
    model.producer_version, model.domain, model.model_version, model.doc_string = "1.2", "org.example", 7, "a model"
    model.graph.doc_string = "a graph"
    helper.set_model_props(model, {"licence": "free"})
    written = Graph.of(model).to_model()
    for field in ("producer_name", "producer_version", "domain", "model_version", "doc_string", "metadata_props"):
        assert getattr(written, field) == getattr(model, field)
    assert (written.graph.name, written.graph.doc_string) == (model.graph.name, "a graph")


def test_nodes_get_names_of_their_own() -> None:
    links = [("Relu", "x", "a", ""), ("Neg", "a", "b", "twin"), ("Abs", "b", "d", "twin"), ("Exp", "d", "y", "Abs_2")]
    nodes = [helper.make_node(op, [read], [made], name=name) for op, read, made, name in links]
    assert [node.name for node in Graph.of(model_of(*nodes)).nodes] == ["Relu_0", "twin", "Abs_2_1", "Abs_2"]


@pytest.mark.parametrize("kind", [TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.INT64])
def test_inner_tensors_have_an_element_type_though_none_is_declared(kind: int) -> None:
    nodes = [
        helper.make_node("Add", ["x", "c"], ["sum"]),
        helper.make_node("Cast", ["sum"], ["whole"], to=TensorProto.INT32),
        helper.make_node("Cast", ["whole"], ["y"], to=kind),
    ]
    tensors = Graph.of(model_of(*nodes, kind=kind)).tensors()
    assert (tensors["sum"].dtype, tensors["whole"].dtype) == (helper.tensor_dtype_to_np_dtype(kind), np.int32)


def test_a_model_that_inference_refuses_is_read_all_the_same() -> None:
    graph = Graph.of(model_of(helper.make_node("MatMul", ["x", "s"], ["a"]), helper.make_node("Relu", ["a"], ["y"])))
    assert graph.tensors()["a"].shape is None


def test_attributes_have_the_defaults_of_their_opset() -> None:
    softmax = Graph.of(model_of(helper.make_node("Softmax", ["x"], ["y"]))).nodes[0]
    assert (softmax.attribute("axis", 11), softmax.attribute("axis", 13)) == (1, -1)
    assert softmax.attributes == {}
    assert softmax.attribute("nothing", 17, "given") == "given"
    softmax.set_attribute("axis", 0)
    assert softmax.attribute("axis", 17) == 0
    softmax.set_attribute("axis", None)
    assert softmax.attributes == {}


def test_a_copy_shares_arrays_and_no_edits() -> None:
    graph = chain()
    copy = graph.copy()
    assert copy.tensors()["c"].array is graph.tensors()["c"].array
    copy.set_array(copy.tensors()["c"], np.zeros(4, np.float32))
    copy.node("relu").set_op("Abs")
    assert graph.tensors()["c"].array.tolist() == [0, 1, 2, 3]
    assert graph.node("relu").op == "Relu"


@pytest.mark.parametrize("shape", [(), (1,), (2, 3), (0,)])
def test_constants_keep_their_shape(shape: tuple[int, ...]) -> None:
    array = np.full(shape, 3.0, np.float32)
    graph = chain()
    assert graph.constant("new", array).array.shape == shape
    graph.set_array(graph.tensors()["c"], array)
    assert graph.tensors()["c"].array.shape == shape
    graph.make_constant(graph.tensors()["sum"], array)
    assert graph.tensors()["sum"].array.shape == shape


def test_new_tensors_do_not_share_a_name_before_they_are_linked() -> None:
    graph = chain()
    names = [graph.constant("c", np.zeros(1)).name, graph.constant("c", np.zeros(1)).name, graph.variable("c").name]
    assert names == ["c_1", "c_2", "c_3"]


def insert(graph: Graph) -> None:
    """y = Neg(Relu(x + c) · 2)."""
    neg = graph.node("neg")
    product = graph.variable("product", np.float32)
    graph.insert("Mul", [neg.inputs[0], graph.constant("two", np.float32(2))], [product], before=neg)
    neg.set_input(0, product)


def append_and_sort(graph: Graph) -> None:
    """The same, with the node put at the end first."""
    neg = graph.node("neg")
    product = graph.variable("product", np.float32)
    graph.insert("Mul", [neg.inputs[0], graph.constant("two", np.float32(2))], [product])
    neg.set_input(0, product)
    graph.sort()


def bypass(graph: Graph) -> None:
    """y = Neg(x + c)."""
    relu = graph.node("relu")
    graph.replace_uses(relu.outputs[0], relu.inputs[0])
    graph.remove(relu)


def store(graph: Graph) -> None:
    """y = Neg(Relu([1 1 1 1]))."""
    graph.make_constant(graph.tensors()["sum"], np.ones((1, 4), np.float32))
    graph.clean()
    assert [node.op for node in graph.nodes] == ["Relu", "Neg"]


X = np.array([[-3, -2, 1, 5]], np.float32)


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        (insert, -2 * np.maximum(X + np.arange(4), 0)),
        (append_and_sort, -2 * np.maximum(X + np.arange(4), 0)),
        (bypass, -(X + np.arange(4))),
        (store, -np.ones((1, 4))),
    ],
)
def test_edits_change_what_is_computed(edit: Callable[[Graph], None], expected: np.ndarray) -> None:
    graph = chain()
    edit(graph)
    (got,) = run(graph, {"x": X})
    np.testing.assert_array_equal(got, expected)


def test_links_go_both_ways() -> None:
    graph = chain()
    total = graph.tensors()["sum"]
    assert total.producer == graph.node("add")
    assert total.consumers == [graph.node("relu")]
    assert [tensor.name for tensor in graph.constants()] == ["c"]
    assert graph.is_output(graph.node("neg").outputs[0])
    assert graph.tensors()["x"].producer is None
    with pytest.raises(KeyError):
        graph.node("nobody")


def test_what_a_body_reads_from_outside_is_captured() -> None:
    graph = Graph.of(ZOO["if_branches"]())
    node = next(node for node in graph.nodes if node.op == "If")
    assert node.has_subgraphs
    assert {tensor.name for tensor in node.captures()} & {output.name for n in graph.nodes for output in n.outputs}


def test_a_node_that_went_reads_nothing_inside_either() -> None:
    graph = Graph.of(ZOO["loop_body"]())
    node = next(node for node in graph.nodes if node.op == "Loop")
    captured = [tensor for tensor in node.captures() if tensor.is_constant]
    assert captured
    graph.remove(node)
    assert not any(tensor.consumers for tensor in captured)
