"""Scans, what is lowered to them and what cannot be."""

from typing import Any

import numpy as np
import onnx
import pytest
from derivatives import Case, spread
from derivatives.differences import agree, gradients
from onnx import TensorProto, helper, numpy_helper

from optimise_onnx.ir.adjoint.program import Program
from optimise_onnx.ir.errors import UnsupportedOpError
from optimise_onnx.ir.graph import Graph
from optimise_onnx.ir.shapes import concrete

STEPS, WIDTH, READ = 4, 3, 2
WEIGHTS = {"w": spread(READ, WIDTH, seed=2), "r": spread(WIDTH, WIDTH, low=-1, high=1, seed=3)}
FEEDS = {"h": spread(2, WIDTH), "x": spread(STEPS, 2, READ), **WEIGHTS}


def value(name: str, *shape: int, kind: int = TensorProto.FLOAT) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape or None)


def scanning(*, axis: int = 0, reverse: int = 0, counted: bool = False, last: bool = True) -> onnx.ModelProto:
    """``h = tanh(x w + h r)`` with both weights captured, and at will a state that counts steps and scales outputs."""
    nodes = [
        helper.make_node("MatMul", ["xt", "w"], ["read"], "read"),
        helper.make_node("MatMul", ["ht", "r"], ["handed"], "handed"),
        helper.make_node("Add", ["read", "handed"], ["both"], "both"),
        helper.make_node("Tanh", ["both"], ["new"], "new"),
    ]
    inputs, outputs = [value("ht", 2, WIDTH)], [value("new", 2, WIDTH)]
    states, stored = ["h"], []
    if counted:
        nodes.append(helper.make_node("Add", ["count", "one"], ["next"], "next"))
        nodes.append(helper.make_node("Cast", ["next"], ["share"], "share", to=TensorProto.FLOAT))
        nodes.append(helper.make_node("Mul", ["new", "share"], ["y"], "y"))
        inputs.append(value("count", kind=TensorProto.INT64))
        outputs.append(value("next", kind=TensorProto.INT64))
        states.append("zero")
        stored += [numpy_helper.from_array(np.array(i, np.int64), name) for i, name in enumerate(("zero", "one"))]
    else:
        nodes.append(helper.make_node("Identity", ["new"], ["y"], "y"))
    inputs.append(value("xt", 2, READ))
    outputs.append(value("y", 2, WIDTH))
    body = helper.make_graph(nodes, "body", inputs, outputs)
    form: dict[str, Any] = {"scan_input_axes": [axis]} if axis else {}
    form |= {"scan_input_directions": [reverse], "scan_output_directions": [1 - reverse]} if reverse else {}
    ends = ["end", "counted"][: len(states)]
    node = helper.make_node("Scan", [*states, "x"], [*ends, "ys"], "scan", body=body, num_scan_inputs=1, **form)
    shape = np.moveaxis(FEEDS["x"], 0, axis).shape
    shown = [value("ys", STEPS, 2, WIDTH), *([value("end", 2, WIDTH)] if last else [])]
    given = [value("h", 2, WIDTH), value("x", *shape), *(value(name, *w.shape) for name, w in WEIGHTS.items())]
    graph = helper.make_graph([node], "scanning", given, shown, stored)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


@pytest.mark.parametrize("form", [{}, {"counted": True}, {"last": False}], ids=str)
def test_gradients_through_a_scan_are_those_of_finite_differences(form: dict[str, Any]) -> None:
    agree(scanning(**form), FEEDS, ["h", "x", "r", "w"])


@pytest.mark.parametrize(
    ("form", "turned"),
    [({"axis": 1}, lambda x: np.ascontiguousarray(np.moveaxis(x, 0, 1))), ({"reverse": 1}, lambda x: x[::-1].copy())],
    ids=["axis", "reverse"],
)
def test_a_scan_that_reads_in_another_order_has_the_same_gradients(form: dict[str, int], turned: Any) -> None:
    """onnx's evaluator has no such Scan, so the gradient is compared with that of the plain one."""
    plain = _slope(Graph.of(scanning()), FEEDS)
    found = _slope(Graph.of(scanning(**form)), {**FEEDS, "x": turned(FEEDS["x"])})
    np.testing.assert_allclose(found, turned(plain), rtol=1e-5)


def _slope(graph: Graph, feeds: dict[str, Any]) -> Any:
    return gradients(graph, feeds, ["x"], {})["slope_x"]


def test_gelu_by_tanh_of_onnxruntime_is_gone_back_through() -> None:
    names = ["x", "b"]
    nodes = [
        helper.make_node("FastGelu", names, ["y"], "gelu", domain="com.microsoft"),
        helper.make_node("Cast", ["y"], ["typed"], "typed", to=TensorProto.FLOAT),
        helper.make_node("Reshape", ["typed", "form"], ["z"], "shape"),
    ]
    stored = [numpy_helper.from_array(np.array([6]), "form")]
    graph = helper.make_graph(nodes, "gelu", [value("x", 2, 3), value("b", 3)], [value("z", 6)], stored)
    imports = [helper.make_opsetid("", 18), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=imports, ir_version=8)
    agree(model, {"x": spread(2, 3), "b": spread(3)}, names)


@pytest.mark.parametrize("taken", [True, False])
def test_gradients_through_the_branch_that_is_taken(taken: bool) -> None:
    branches = {
        "then_branch": _branch([helper.make_node("MatMul", ["shown", "w"], ["then"], "product")], "then"),
        "else_branch": _branch([helper.make_node("Sin", ["v"], ["else"], "wave")], "else"),
    }
    nodes = [
        helper.make_node("Tanh", ["x"], ["shown"], "shown"),
        helper.make_node("If", ["taken"], ["chosen"], "choice", **branches),
        helper.make_node("Mul", ["chosen", "shown"], ["y"], "last"),
    ]
    stored = [numpy_helper.from_array(np.array(taken), "taken")]
    feeds = {"x": spread(2, 3), "w": spread(3, 3), "v": spread(2, 3, seed=2)}
    inputs = [value(name, *array.shape) for name, array in feeds.items()]
    graph = helper.make_graph(nodes, "chosen", inputs, [value("y", 2, 3)], stored)
    agree(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8), feeds, list(feeds))


def _branch(nodes: list[onnx.NodeProto], out: str) -> onnx.GraphProto:
    return helper.make_graph(nodes, f"{out}_branch", [], [value(out, 2, 3)])


def _model(nodes: list[onnx.NodeProto], stored: dict[str, Any], *shape: int) -> onnx.ModelProto:
    """``x`` and ``w`` in, ``y`` out; ``yes`` is a condition that holds."""
    kept = [numpy_helper.from_array(np.asarray(array), name) for name, array in {"yes": True, **stored}.items()]
    inputs = [value("x", 2, 3), value("w", 3, 3)]
    graph = helper.make_graph(nodes, "nested", inputs, [value("y", *(shape or (2, 3)))], kept)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


NESTED = {"x": spread(2, 3), "w": spread(3, 3)}


def _if(name: str, then: list[onnx.NodeProto]) -> onnx.NodeProto:
    """Choose between nodes, the last of which gives their result, and a cosine."""
    other = [helper.make_node("Cos", ["x"], [f"{name}_wave"], f"{name}_cos")]
    branches = {"then_branch": _branch(then, then[-1].output[0]), "else_branch": _branch(other, f"{name}_wave")}
    return helper.make_node("If", ["yes"], [name], f"{name}_node", **branches)


def test_what_only_a_subgraph_of_a_subgraph_reads_has_a_slope() -> None:
    inner = _if("inner", [helper.make_node("MatMul", ["x", "w"], ["product"], "product_node")])
    agree(_model([_if("y", [inner])], {}), NESTED, ["x", "w"])


def test_constants_inside_subgraphs_are_known_and_their_operators_lowered() -> None:
    stored = helper.make_tensor("bound", TensorProto.FLOAT, [], [0.25])
    nodes = [
        helper.make_node("Constant", [], ["bound"], "bound_node", value=stored),
        helper.make_node("MatMul", ["x", "w"], ["product"], "product_node"),
        helper.make_node("Softsign", ["product"], ["soft"], "soft_node"),
        helper.make_node("Clip", ["soft", "", "bound"], ["cut"], "cut_node"),
    ]
    agree(_model([_if("y", nodes)], {}), NESTED, ["x", "w"])


def test_a_recurrent_layer_inside_a_branch() -> None:
    rows = [spread(1, 6, 3, low=-1, high=1), spread(1, 6, 2, low=-1, high=1, seed=2)]
    nodes = [
        helper.make_node("Unsqueeze", ["x", "first"], ["long"], "long_node"),
        helper.make_node("GRU", ["long", "read", "handed"], ["all"], "gru", hidden_size=2),
        helper.make_node("Reshape", ["all", "form"], ["flat"], "flat_node"),
        helper.make_node("Concat", ["flat", "column"], ["joined"], "joined_node", axis=1),
    ]
    stored = {"first": np.array([0]), "form": np.array([2, 2]), "column": spread(2, 1)}
    agree(_model([_if("y", nodes)], {**stored, "read": rows[0], "handed": rows[1]}), NESTED, ["x"])


def test_other_floats_inside_a_branch_are_refused() -> None:
    nodes = [
        helper.make_node("Cast", ["x"], ["double"], "wide", to=TensorProto.DOUBLE),
        _if("y", [helper.make_node("Cast", ["double"], ["back"], "narrow", to=TensorProto.FLOAT)]),
    ]
    graph = Graph.of(_model(nodes, {}))
    program = Program(graph, concrete(graph, {"x": (2, 3), "w": (3, 3)}))
    with pytest.raises(UnsupportedOpError, match="'double' of float64"):
        program.backward({"y": "slope"}, ["x"])


def test_a_vector_of_zeros_has_no_slope_behind_its_norm() -> None:
    graph = Graph.of(Case("LpNormalization", spread(2, 3)).model())
    x = np.array([[0, 0, 0], [1, 2, 2]], np.float32)
    assert not gradients(graph, {"x0": x}, ["x0"], {})["slope_x0"][0].any()


_WEIGHTS = spread(1, 8, 2), spread(1, 8, 2, seed=2)
_QUERIES = spread(2, 3, 4), spread(2, 5, 4, seed=2), spread(2, 5, 4, seed=3)


@pytest.mark.parametrize(
    ("case", "why"),
    [
        (Case("LSTM", spread(3, 2, 2), *_WEIGHTS, hidden_size=2, clip=1.0), "'clip' is not followed"),
        (Case("LSTM", spread(3, 2, 2), *_WEIGHTS, hidden_size=2, activations=["Affine"] * 3), "one of its activations"),
        (
            Case("MultiHeadAttention", *_QUERIES, None, np.ones(8, np.int32), domain="com.microsoft", num_heads=2),
            "its mask has another form",
        ),
        (Case("MultiHeadAttention", *_QUERIES, domain="com.microsoft", num_heads=2, unidirectional=1), "it is causal"),
        (Case("MultiHeadAttention", _QUERIES[0], domain="com.microsoft", num_heads=2), "it has a cache"),
    ],
    ids=repr,
)
def test_what_cannot_be_lowered_says_why(case: Case, why: str) -> None:
    graph = Graph.of(case.model())
    program = Program(graph, concrete(graph, {name: x.shape for name, x in case.moved().items()}))
    with pytest.raises(UnsupportedOpError, match=why):
        program.backward({"y0": "slope"}, list(case.moved()))


def test_attention_that_lies_in_one_tensor_is_read_without_its_shape() -> None:
    """It ended with an IndexError of the inference of shapes."""
    case = Case("MultiHeadAttention", spread(2, 3, 2, 3, 2), domain="com.microsoft", num_heads=2)
    graph = Graph.of(case.model())
    assert "y0" not in concrete(graph, {"x0": (2, 3, 2, 3, 2)})
