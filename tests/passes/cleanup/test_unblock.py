"""Models that onnxruntime has laid out for one machine, in blocks of channels, are written as they were."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from optimise_onnx.backends.ort import OrtRunner
from optimise_onnx.ir.errors import InvalidModelError
from optimise_onnx.ir.graph import Graph
from optimise_onnx.passes.analysis.channels.groups import analyse
from optimise_onnx.passes.base import Context
from optimise_onnx.passes.cleanup.constants import FoldConstants
from optimise_onnx.passes.cleanup.unblock import unblock
from tests.oracle import graph_of
from tests.zoo.builder import Builder

from .support import checked, normal

X = {"x": normal(2, 3, 12, 12)}


def plain(b: Builder, x: str) -> str:
    """Widths of whole blocks and of others, and a residual sum that is fused with a convolution."""
    h = b.conv_relu(b.conv_relu(x, 32), 24)
    return b.relu(b.add(b.conv(b.conv_relu(h, 10), 24), h))


def depthwise(b: Builder, x: str) -> str:
    """Depthwise and grouped ones, with other activations."""
    h = b.relu6(b.depthwise(b.relu6(b.conv(x, 32)), stride=2))
    return b.node("LeakyRelu", [b.conv(h, 64, 3, group=2)], alpha=0.2)


def pooled(b: Builder, x: str) -> str:
    """Pools, an enlargement, a concatenation."""
    h = b.conv_relu(x, 32)
    small = b.node("AveragePool", [b.max_pool(h)], kernel_shape=[3, 3], strides=[1, 1], pads=[1, 1, 1, 1])
    scales = b.const(np.array([1, 1, 2, 2], np.float32))
    how = {"mode": "nearest", "nearest_mode": "floor", "coordinate_transformation_mode": "asymmetric"}
    large = b.node("Resize", [b.conv_relu(small, 16), "", scales], **how)
    return b.conv_relu(b.concat(large, h), 32)


def channels_last(b: Builder, x: str) -> str:
    """Convolutions with a product over the last axis between them, of whole blocks and of others."""
    rows = b.transpose(b.conv_relu(x, 24), 0, 2, 3, 1)
    h = b.conv_relu(b.transpose(b.matmul(rows, 24), 0, 3, 1, 2), 32)
    return b.conv_relu(b.transpose(b.matmul(b.transpose(h, 0, 2, 3, 1), 32), 0, 3, 1, 2), 20)


def viewed(b: Builder, x: str) -> str:
    """Sums whose operands onnxruntime cannot show to be alike: it gives blocks an axis of their own for them."""
    h = b.conv_relu(x, 32)
    h = b.relu(b.add(h, b.conv(b.gap(h), 32, 1)))
    return b.relu(b.add(h, b.shuffle(b.conv_relu(h, 32), 4)))


def saved(model: onnx.ModelProto, folder: Path) -> Graph:
    """Let onnxruntime write what it makes of a model on this machine."""
    onnx.save(model, folder / "in.onnx")
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.optimized_model_filepath = str(folder / "saved.onnx")
    options.log_severity_level = 4
    onnxruntime.InferenceSession(str(folder / "in.onnx"), options, providers=["CPUExecutionProvider"])
    return graph_of(onnx.load(folder / "saved.onnx"))


def blocked(graph: Graph) -> int:
    """Count the nodes on blocks of channels."""
    return sum(node.domain.endswith("nchwc") for node in graph.nodes)


@pytest.mark.parametrize("network", [plain, depthwise, pooled, channels_last, viewed])
def test_a_model_saved_for_one_machine_is_written_for_any(network: Callable[..., str], tmp_path: Path) -> None:
    b = Builder("saved")
    model = b.model(b.head(network(b, b.input("x", ["N", 3, 12, 12])), 5))
    graph = saved(model, tmp_path)
    if not blocked(graph):
        pytest.skip("onnxruntime lays no channels out in blocks on this machine")
    result = checked(graph, FoldConstants(), X)
    assert not blocked(result)
    assert not analyse(graph).groups and len(analyse(result).groups) >= len(analyse(graph_of(model)).groups) > 0


@pytest.mark.parametrize("opset", [8, 9, 10, 11, 12, 17])
def test_pools_and_enlargements_of_old_operator_sets(opset: int, tmp_path: Path) -> None:
    b = Builder("old", opset=opset)
    h = b.max_pool(b.conv_relu(b.input("x", ["N", 3, 12, 12]), 32))
    h = b.node("AveragePool", [h], kernel_shape=[2, 2], strides=[1, 1])
    scales = np.array([1, 1, 2, 2], np.float32)
    if opset > 10:
        how = {"mode": "nearest", "nearest_mode": "floor", "coordinate_transformation_mode": "asymmetric"}
        region = "" if opset > 12 else b.const(np.zeros(0, np.float32))
        h = b.node("Resize", [b.conv_relu(h, 16), region, b.const(scales)], **how)
    elif opset > 8:
        h = b.node("Resize" if opset == 10 else "Upsample", [b.conv_relu(h, 16), b.const(scales)], mode="nearest")
    graph = saved(b.model(b.head(b.conv_relu(h, 16), 5)), tmp_path)
    if not blocked(graph):
        pytest.skip("onnxruntime lays no channels out in blocks on this machine")
    assert not blocked(checked(graph, FoldConstants(), X))


def test_what_looks_at_blocks_as_they_lie_keeps_them(tmp_path: Path) -> None:
    b = Builder("looks")
    graph = saved(b.model(b.conv_relu(b.input("x", ["N", 3, 12, 12]), 32)), tmp_path)
    out = next((node for node in graph.nodes if node.op == "ReorderOutput"), None)
    if out is None:
        pytest.skip("onnxruntime lays no channels out in blocks on this machine")
    graph.insert("ReduceMean", [out.inputs[0]], [graph.variable("mean", np.float32)], {"axes": [1]})
    graph.set_outputs([*graph.outputs, graph.tensors()["mean"]])
    assert unblock(graph, OrtRunner(1)) == 0


def test_where_the_machine_has_no_such_operators_all_stays(tmp_path: Path) -> None:
    class Without(OrtRunner):
        """A runner of another machine."""

        def session(self, *_: object, **__: object) -> object:
            """Refuse."""
            raise InvalidModelError("no such operator")

    b = Builder("saved")
    graph = saved(b.model(plain(b, b.input("x", ["N", 3, 12, 12]))), tmp_path)
    before = graph.to_model().SerializeToString(deterministic=True)
    assert unblock(graph, Without(1)) == 0
    assert graph.to_model().SerializeToString(deterministic=True) == before


def test_blocks_of_another_machine_stay(tmp_path: Path) -> None:
    """Weights that fill no whole blocks here."""
    b = Builder("saved")
    graph = saved(b.model(plain(b, b.input("x", ["N", 3, 12, 12]))), tmp_path)
    layer = next((node for node in graph.nodes if node.domain.endswith("nchwc") and node.op == "Conv"), None)
    if layer is None:
        pytest.skip("onnxruntime lays no channels out in blocks on this machine")
    graph.set_array(layer.inputs[1], layer.inputs[1].array[:5])
    assert unblock(graph, Context(OrtRunner(1), graph).runner) == 0
