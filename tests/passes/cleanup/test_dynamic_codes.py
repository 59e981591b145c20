"""Products of codes that are made at run time, as onnxruntime fuses them, are written as their parts."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnxruntime import quantization
from oracle import graph_of, run
from zoo.builder import Builder

from optimise_onnx.backends.ort import OrtRunner
from optimise_onnx.ir.graph import Graph
from optimise_onnx.passes.analysis.channels.groups import analyse
from optimise_onnx.passes.analysis.layers.linear import linear_layers
from optimise_onnx.passes.analysis.layers.writing import bias_place, write_bias
from optimise_onnx.passes.base import Context
from optimise_onnx.passes.cleanup.constants import FoldConstants

from .support import normal, ops

Array = NDArray[Any]
MICROSOFT = "com.microsoft"


def alike(graph: Graph, op: str, batch: dict[str, Array]) -> Graph:
    """Fold a graph: the operator is gone, its sums of floats are those of codes, and channels can go."""
    result = graph.copy()
    FoldConstants().run(result, Context(OrtRunner(1), graph))
    assert op not in ops(result) and "MatMul" in ops(result)
    for before, after in zip(run(graph, batch), run(result, batch), strict=True):
        np.testing.assert_allclose(before, after, atol=0.02 * np.abs(before).max())
    assert len(analyse(graph).groups) < len(analyse(result).groups)
    return result


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("shared", [False, True])
def test_dynamic_products_that_onnxruntime_has_fused(per_channel: bool, shared: bool, tmp_path: Path) -> None:
    """One reader of the codes: DynamicQuantizeMatMul; two: MatMulIntegerToFloat."""
    b = Builder("fused")
    x = b.input("x", ["N", 6])
    h = b.relu(b.matmul(x, 12))
    h = b.add(h, b.relu(b.matmul(x, 12, bias=False))) if shared else h
    onnx.save(b.model(b.matmul(h, 5)), tmp_path / "float.onnx")
    quantization.quantize_dynamic(tmp_path / "float.onnx", tmp_path / "codes.onnx", per_channel=per_channel)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(tmp_path / "saved.onnx")
    onnxruntime.InferenceSession(str(tmp_path / "codes.onnx"), options, providers=["CPUExecutionProvider"])
    graph = graph_of(onnx.load(tmp_path / "saved.onnx"))
    op = "MatMulIntegerToFloat" if shared else "DynamicQuantizeMatMul"
    assert op in ops(graph)
    alike(graph, op, {"x": normal(4, 6).astype(np.float32)})


@pytest.mark.parametrize("scales", [1, 48])
def test_attention_of_codes(scales: int) -> None:
    b = Builder("attention")
    made = b.nodes("DynamicQuantizeLinear", [b.matmul(b.input("x", ["N", 5, 8]), 16)], 3)
    codes = b.const(b.rng.integers(-99, 99, [16, 48]).astype(np.int8))
    scale = b.const(np.full(scales, 0.004, np.float32) if scales > 1 else np.float32(0.004))
    zero = b.const(np.zeros(scales, np.int8) if scales > 1 else np.int8(0))
    inputs = [made[0], codes, b.vector(48), made[1], scale, "", made[2], zero]
    mixed = b.node("QAttention", inputs, domain=MICROSOFT, num_heads=4)
    graph = graph_of(b.model(b.matmul(b.declare(mixed, ["N", 5, 16]), 3)))
    result = alike(graph, "QAttention", {"x": normal(4, 5, 8).astype(np.float32)})
    assert "MultiHeadAttention" in ops(result)


@pytest.mark.parametrize("segmented", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_an_embedding_of_codes(segmented: bool, masked: bool) -> None:
    """As quantize_dynamic makes it of BERT behind the transformer optimiser; the lengths of masks go to attention."""
    b, width = Builder("embedding"), 16

    def table(rows: int | None) -> list[str]:
        codes = b.rng.integers(0, 256, [rows, width] if rows else [width]).astype(np.uint8)
        return [b.const(codes), b.const(np.float32(0.01)), b.const(np.uint8(120))]

    tables = [table(9), table(6), table(2) if segmented else ["", "", ""], table(None), table(None)]
    ids = b.input("ids", ["N", 5], np.int32)
    segments = b.input("segments", ["N", 5], np.int32) if segmented else ""
    mask = b.input("mask", ["N", 5], np.int32) if masked else ""
    inputs = [ids, segments, *[each[0] for each in tables], mask]
    inputs += [each[part] for part in (1, 2) for each in tables]
    rows, lengths = b.nodes("QEmbedLayerNormalization", inputs, 2, domain=MICROSOFT, epsilon=1e-6)
    outputs = [b.matmul(b.declare(rows, ["N", 5, width]), 3)]
    outputs += [b.node("Identity", [b.declare(lengths, ["N"], np.int32)])] if masked else []
    batch = {"ids": np.array([[0, 3, 8, 1, 2]], np.int32), "segments": np.array([[0, 0, 1, 1, 1]], np.int32)}
    batch |= {"mask": np.array([[1, 1, 1, 0, 0]], np.int32)}
    graph = graph_of(b.model(*outputs))
    alike(graph, "QEmbedLayerNormalization", {tensor.name: batch[tensor.name] for tensor in graph.inputs})


@pytest.mark.parametrize("batch", ["N", 1])
def test_products_run_in_integer_kernels_at_any_size(batch: int | str, tmp_path: Path) -> None:
    """A bias behind a product of known sizes would be joined with it, and both run in floats: it is written as Sum."""
    b = Builder("kernels")
    h = b.input("x", [batch, 5, 12])
    for width in (32, 12):
        h = b.relu(b.matmul(h, width))
    onnx.save(b.model(b.matmul(h, 3)), tmp_path / "float.onnx")
    quantization.quantize_dynamic(tmp_path / "float.onnx", tmp_path / "codes.onnx")
    graph = graph_of(onnx.load(tmp_path / "codes.onnx"))
    context = Context(OrtRunner(1), graph.copy())
    FoldConstants().run(graph, context)
    assert {"Sum", "DynamicQuantizeLinear", "MatMul"} <= set(ops(graph)) and "Add" not in ops(graph)
    layers = linear_layers(graph, analyse(graph).context.shapes)
    assert all(bias_place(graph, graph.node(name), layer) is not None for name, layer in layers.items())
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "run.onnx")
    onnxruntime.InferenceSession(graph.to_model().SerializeToString(), options, providers=["CPUExecutionProvider"])
    run_as = {node.op_type for node in onnx.load(tmp_path / "run.onnx").graph.node}
    assert run_as.isdisjoint({"Gemm", "MatMul", "MatMulNBits"})


def test_a_new_bias_is_written_so_too() -> None:
    b = Builder("bias")
    made = b.nodes("DynamicQuantizeLinear", [b.input("x", ["N", 6])], 3)
    codes = [b.const(b.rng.integers(-99, 99, [6, 4]).astype(np.int8)), b.const(np.float32(0.02))]
    y = b.node("MatMul", [b.node("DequantizeLinear", made), b.node("DequantizeLinear", codes)])
    graph = graph_of(b.model(b.relu(y)))
    (name, layer), *_ = linear_layers(graph, analyse(graph).context.shapes).items()
    write_bias(graph, graph.node(name), layer, np.ones(4))
    assert "Sum" in ops(graph) and "Add" not in ops(graph)
