"""MACs, parameters, bytes and activations against counts by hand, for every operator that multiplies."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from oracle import graph_of
from zoo import ZOO
from zoo.builder import Builder

from optimise_onnx.ir.cost import Cost, cost, is_parameter, total
from optimise_onnx.ir.graph import Graph


@dataclass(frozen=True)
class Product:
    """One operator on ``x`` of a shape, with stored operands of given shapes, and its MACs."""

    op: str
    x: tuple[int, ...]
    stored: tuple[tuple[int, ...], ...]
    macs: int
    attributes: dict[str, Any] = field(default_factory=dict)
    kind: type = np.float32
    opset: int = 19

    def graph(self) -> Graph:
        names = ["x", *"wbcdefg"[: len(self.stored)]]
        constants = [
            numpy_helper.from_array(np.ones(s, self.kind), n) for n, s in zip(names[1:], self.stored, strict=True)
        ]
        x = helper.make_tensor_value_info("x", helper.np_dtype_to_tensor_dtype(np.dtype(self.kind)), self.x)
        y = helper.make_tensor_value_info("y", TensorProto.UNDEFINED, None)
        node = helper.make_node(self.op, names, ["y"], name="node", **self.attributes)
        graph = helper.make_graph([node], "cost", [x], [y], constants)
        return Graph.of(helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)]))


PRODUCTS = [
    # 2 samples, 8·8 outputs of 4 channels, each over 3 channels and 3·3 pixels
    Product("Conv", (2, 3, 8, 8), ((4, 3, 3, 3),), 2 * 64 * 4 * 27, {"pads": [1, 1, 1, 1]}),
    Product("Conv", (1, 3, 8, 8), ((4, 3, 3, 3), (4,)), 9 * 4 * 27, {"strides": [2, 2]}),  # 3·3 outputs
    Product("Conv", (1, 6, 8, 8), ((4, 3, 1, 1),), 64 * 4 * 3, {"group": 2}),
    Product("Conv", (1, 6, 8, 8), ((12, 1, 3, 3),), 36 * 12 * 9, {"group": 6}),  # depthwise, 6·6 outputs
    Product("Conv", (1, 3, 10), ((4, 3, 3),), 8 * 4 * 9),
    Product("Conv", (1, 2, 4, 4, 4), ((3, 2, 2, 2, 2),), 27 * 3 * 16),
    # every input pixel of 3 channels meets 5 channels and 2·2 pixels
    Product("ConvTranspose", (1, 3, 4, 4), ((3, 5, 2, 2),), 16 * 3 * 5 * 4, {"strides": [2, 2]}),
    Product("ConvTranspose", (1, 4, 4, 4), ((4, 3, 2, 2),), 16 * 4 * 3 * 4, {"group": 2}),
    Product("Gemm", (2, 7), ((7, 5), (5,)), 2 * 7 * 5),
    Product("Gemm", (2, 7), ((5, 7),), 2 * 7 * 5, {"transB": 1}),
    Product("Gemm", (7, 2), ((7, 5),), 2 * 7 * 5, {"transA": 1}),
    Product("MatMul", (2, 7), ((7, 5),), 2 * 7 * 5),
    Product("MatMul", (3, 2, 7), ((7, 5),), 3 * 2 * 7 * 5),
    Product("MatMul", (3, 2, 7), ((3, 7, 5),), 3 * 2 * 7 * 5),
    Product("MatMul", (2, 7), ((7,),), 2 * 7),
    Product("MatMul", (7,), ((7, 5),), 7 * 5),
    Product("Einsum", (2, 3, 7), ((7, 5),), 2 * 3 * 7 * 5, {"equation": "abc,cd->abd"}),
    Product("Einsum", (2, 3, 7), ((7, 5),), 2 * 3 * 7 * 5, {"equation": "...c,cd->...d"}),
    Product("Einsum", (2, 3, 7), (), 0, {"equation": "abc->acb"}),
    # 5 steps, 2 samples; 4 gates of 3 units over 7 features and 3 states
    Product("LSTM", (5, 2, 7), ((1, 12, 7), (1, 12, 3)), 5 * 2 * 12 * (7 + 3), {"hidden_size": 3}),
    Product("GRU", (5, 2, 7), ((2, 9, 7), (2, 9, 3)), 5 * 2 * 2 * 9 * (7 + 3),
            {"hidden_size": 3, "direction": "bidirectional"}),
    Product("RNN", (5, 2, 7), ((1, 3, 7), (1, 3, 3)), 5 * 2 * 3 * (7 + 3), {"hidden_size": 3}),
    # 2 samples, 4 heads, 5 queries: by 6 keys of width 3, and these by values of width 7; of two heads each
    Product("Attention", (2, 4, 5, 3), ((2, 2, 6, 3), (2, 2, 6, 7)), 2 * 4 * 5 * 6 * (3 + 7), opset=23),
    Product("Attention", (2, 5, 12), ((2, 6, 6), (2, 6, 14)), 2 * 4 * 5 * 6 * (3 + 7),
            {"q_num_heads": 4, "kv_num_heads": 2}, opset=23),
    Product("ConvInteger", (1, 3, 8, 8), ((4, 3, 3, 3),), 36 * 4 * 27, kind=np.uint8),
    Product("MatMulInteger", (2, 7), ((7, 5),), 2 * 7 * 5, kind=np.uint8),
    Product("Relu", (2, 7), (), 0),
    Product("Add", (2, 7), ((7,),), 0),
]  # fmt: skip


@pytest.mark.parametrize("product", PRODUCTS, ids=[f"{place}-{p.op}" for place, p in enumerate(PRODUCTS)])
def test_macs_agree_with_hand_counts(product: Product) -> None:
    found = cost(product.graph())["node"]
    assert found.macs == product.macs
    assert found.parameters == sum(int(np.prod(shape)) for shape in product.stored)
    assert found.bytes == found.parameters * np.dtype(product.kind).itemsize


def quantised(op: str, x: list[int], w: list[int]) -> Graph:
    """A QLinear operator: x, w and y each with scale and zero point."""
    names = ["x", "xs", "xz", "w", "ws", "wz", "ys", "yz"]
    arrays = {name: np.float32(0.1) if name.endswith("s") else np.uint8(1) for name in names if name not in "xw"}
    arrays["w"] = np.ones(w, np.uint8)
    constants = [numpy_helper.from_array(np.asarray(array), name) for name, array in arrays.items()]
    inputs = [helper.make_tensor_value_info("x", TensorProto.UINT8, x)]
    outputs = [helper.make_tensor_value_info("y", TensorProto.UINT8, None)]
    graph = helper.make_graph([helper.make_node(op, names, ["y"], name="node")], "cost", inputs, outputs, constants)
    return Graph.of(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)]))


def test_quantised_operators_count_like_their_float_twins() -> None:
    assert cost(quantised("QLinearConv", [1, 3, 8, 8], [4, 3, 3, 3]))["node"].macs == 36 * 4 * 27
    assert cost(quantised("QLinearMatMul", [2, 7], [7, 5]))["node"].macs == 2 * 7 * 5


def test_a_symbolic_batch_counts_as_one_sample() -> None:
    b = Builder("one")
    found = cost(graph_of(b.model(b.matmul(b.input("x", ["N", 7]), 5))))
    assert found["matmul_0"] == Cost(macs=35, parameters=35, bytes=140, activations=5)
    assert found["add_0"] == Cost(macs=0, parameters=5, bytes=20, activations=5)
    assert total(found) == Cost(macs=35, parameters=40, bytes=160, activations=10)


def test_a_shared_weight_counts_once() -> None:
    b = Builder("shared")
    weight = b.weight([4, 4])
    x = b.input("x", ["N", 4])
    found = cost(graph_of(b.model(b.node("MatMul", [b.node("MatMul", [x, weight]), weight]))))
    assert [(c.macs, c.parameters) for c in found.values()] == [(16, 16), (16, 0)]


def test_shapes_and_indices_are_bytes_but_no_parameters() -> None:
    b = Builder("reshaped")
    found = total(cost(graph_of(b.model(b.reshape(b.input("x", ["N", 6]), -1, 2, 3)))))
    assert (found.parameters, found.bytes) == (0, 24)


@pytest.mark.parametrize(
    ("kind", "learnt"),
    [(np.float16, True), (np.float64, True), (np.int8, True), (np.uint8, True), (np.int64, False), (np.bool_, False)],
)
def test_floats_and_bytes_are_parameters(kind: type, learnt: bool) -> None:
    assert is_parameter(kind) is learnt


@pytest.mark.parametrize("name", ["vgg_gap", "resnet_projection", "mobilenet_v2", "unet", "vit"])
def test_parameters_are_all_stored_floats(name: str) -> None:
    model = ZOO[name]()
    stored = [onnx.numpy_helper.to_array(t) for t in model.graph.initializer]
    assert total(cost(graph_of(model))).parameters == sum(a.size for a in stored if a.dtype == np.float32)
