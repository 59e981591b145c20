"""Operators on codes are written as float ones between roundings: the same outputs, and channels that can go."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnxruntime import quantization
from oracle import checked as oracle_checked
from oracle import graph_of, run
from zoo.builder import Builder

from optimise_onnx.backends.ort import OrtRunner
from optimise_onnx.ir.graph import Graph
from optimise_onnx.passes.analysis.channels.groups import analyse
from optimise_onnx.passes.base import Context
from optimise_onnx.passes.cleanup.constants import FoldConstants

from .support import normal, ops

Array = NDArray[Any]


class Reader(quantization.CalibrationDataReader):  # type: ignore[misc]
    """Hands out one batch."""

    def __init__(self, batch: Array) -> None:
        self.batches = iter([{"x": batch}])

    def get_next(self) -> Any:
        """Return the batch once."""
        return next(self.batches, None)


def network() -> onnx.ModelProto:
    """What onnxruntime quantises: layers, a residual sum, a product, a concatenation, pools, activations."""
    b = Builder("network")
    x = b.conv_relu(b.input("x", ["N", 3, 8, 8]), 12)
    h = b.node("LeakyRelu", [b.conv(b.conv_relu(x, 8), 12)], alpha=0.1)
    h = b.mul(b.add(h, x), b.node("Sigmoid", [b.conv(x, 12, 1)]))
    h = b.node("AveragePool", [b.node("Concat", [h, x], axis=1)], kernel_shape=[2, 2], strides=[2, 2])
    h = b.relu(b.gemm(b.flatten(b.node("GlobalAveragePool", [h])), 10))
    return b.model(b.node("Softmax", [b.matmul(h, 5, bias=False)]))


def quantised(folder: Path, kind: str, batch: Array) -> onnx.ModelProto:
    """Quantise the network as onnxruntime does it."""
    onnx.save(network(), folder / "float.onnx")
    ends = str(folder / "float.onnx"), str(folder / "codes.onnx")
    if kind == "dynamic":
        quantization.quantize_dynamic(*ends, per_channel=False)
    else:
        options = {"quant_format": quantization.QuantFormat.QOperator, "per_channel": kind == "per channel"}
        quantization.quantize_static(*ends, Reader(batch), **options)
    return onnx.load(ends[1])


def folded(graph: Graph) -> Graph:
    copy = graph.copy()
    FoldConstants().run(copy, Context(OrtRunner(1), graph))
    return copy


@pytest.mark.parametrize("kind", ["per channel", "per tensor", "dynamic"])
def test_what_onnxruntime_quantises(tmp_path: Path, kind: str) -> None:
    batch = normal(32, 3, 8, 8).astype(np.float32)
    graph = graph_of(quantised(tmp_path, kind, batch))
    assert any("QLinear" in op or "Integer" in op for op in ops(graph))
    result = folded(graph)
    assert not [op for op in ops(result) if op.startswith("QLinear") or op.endswith("Integer") or op == "QGemm"]
    (before,), (after,) = (run(each, {"x": batch}) for each in (graph, result))
    assert np.sqrt(np.mean((before - after) ** 2)) < 0.01 * np.sqrt(np.mean(before**2))
    assert len(analyse(result).groups) >= 3


def test_what_is_not_known_stays_and_says_the_way_out() -> None:
    b = Builder("computed")
    x = b.input("x", ["N", 3, 8, 8])
    h = b.node("QuantizeLinear", [b.conv(x, 8), b.const(np.float32(0.05)), b.const(np.uint8(9))])
    scale = b.node("ReduceMax", [x], keepdims=0)
    codes = b.const(b.rng.integers(-9, 9, [4, 8, 3, 3]).astype(np.int8))
    zero, out = b.const(np.uint8(9)), b.const(np.float32(0.1))
    y = b.node("QLinearConv", [h, scale, zero, codes, out, b.const(np.int8(0)), out, zero])
    graph = folded(graph_of(b.model(y)))
    assert "QLinearConv" in ops(graph)
    pins = [pin for _, pin in analyse(graph).pins]
    assert any(pin.op == "QLinearConv" and "--quantise int8" in pin.hint for pin in pins)


def test_a_dynamic_range_does_not_change_when_zeros_go() -> None:
    b = Builder("dynamic")
    made = b.nodes("DynamicQuantizeLinear", [b.gemm(b.input("x", ["N", 6]), 10)], 3)
    codes = [b.const(b.rng.integers(-99, 99, [10, 4]).astype(np.int8)), b.const(np.float32(0.02))]
    y = b.node("MatMul", [b.node("DequantizeLinear", made), b.node("DequantizeLinear", codes)])
    assert len(oracle_checked(b, y).groups) == 1


@pytest.mark.parametrize(
    ("op", "sizes", "scale", "known"),
    [
        ("MatMulInteger", (6, 4), (1, 1, 1), False),
        ("MatMulInteger", (6, 4), (4,), True),
        ("ConvInteger", (8, 3, 3, 3), (8,), False),
        ("ConvInteger", (8, 3, 3, 3), (8, 1, 1), True),
    ],
)
def test_scales_that_broadcast_otherwise_stay(
    op: str, sizes: tuple[int, ...], scale: tuple[int, ...], known: bool
) -> None:
    b, form = Builder("broadcast"), [6] if len(sizes) == 2 else [3, 10, 10]
    made = b.nodes("DynamicQuantizeLinear", [b.input("x", ["N", *form])], 3)
    weight = b.const(b.rng.integers(-99, 99, sizes).astype(np.int8))
    sums = b.node("Cast", [b.node(op, [made[0], weight, made[2]])], to=onnx.TensorProto.FLOAT)
    y = b.mul(sums, b.mul(made[1], b.const(b.uniform(scale, 0.01, 0.02))))
    graph = graph_of(b.model(y))
    result = folded(graph)
    assert (op not in ops(result)) == known
    batch = {"x": normal(4, *form).astype(np.float32)}
    (before,), (after,) = (run(each, batch) for each in (graph, result))
    assert before.shape == after.shape
    np.testing.assert_allclose(before, after, atol=0.02 * np.abs(before).max())


def test_codes_with_channels_on_the_last_axis() -> None:
    """As onnxruntime saves integer layers for one machine."""
    b, domain = Builder("last"), {"domain": "com.microsoft", "channels_last": 1}
    zero, step = b.const(np.uint8(9)), b.const(np.float32(0.05))
    x = b.node("QuantizeLinear", [b.input("x", ["N", 8, 8, 3]), step, zero])
    codes, scale, sums = b.rng.integers(-9, 9, [12, 3, 3, 3]).astype(np.int8), np.full(12, 0.02, np.float32), [12]
    weight = [b.const(codes), b.const(scale), b.const(np.zeros(12, np.int8))]
    bias = b.const(np.zeros(sums, np.int32))
    h = b.node("QLinearConv", [x, step, zero, *weight, step, zero, bias], pads=[1] * 4, **domain)
    pool = {"kernel_shape": [3, 3], "domain": "com.microsoft"}  # nine codes: no mean lies half-way
    h = b.node("QLinearAveragePool", [h, step, zero, step, zero], channels_last=1, **pool)
    h = b.node("NhwcMaxPool", [h], **(pool | {"kernel_shape": [2, 2]}))
    h = b.node("QLinearGlobalAveragePool", [h, step, zero, step, zero], **domain)
    rows = b.declare(b.node("DequantizeLinear", [b.declare(h, ["N", 1, 1, 12], np.uint8), step, zero]), ["N", 1, 1, 12])
    graph = graph_of(b.model(b.matmul(rows, 5)))
    result = folded(graph)
    assert not [node.qualified for node in result.nodes if node.domain]
    assert len(analyse(result).groups) == 1
    batch = {"x": normal(4, 8, 8, 3).astype(np.float32)}
    (before,), (after,) = (run(each, batch) for each in (graph, result))
    np.testing.assert_allclose(before, after, atol=0.02 * np.abs(before).max())
