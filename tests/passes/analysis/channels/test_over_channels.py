"""Norms and means over channels: what is left of them computes as if the channels gone were zero."""

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from oracle import distance, graph_of, oracle_error, removed, run
from zoo import ZOO, feeds
from zoo.builder import Builder

from optimise_onnx.backends.ort import OrtRunner
from optimise_onnx.ir.graph import Graph
from optimise_onnx.passes.analysis.channels.groups import Channels, analyse
from optimise_onnx.passes.analysis.channels.masking import masked
from optimise_onnx.passes.base import Context
from optimise_onnx.passes.manager import PassManager
from optimise_onnx.passes.select.remove_channels import TOLERANCE

WIDTH = 12


def network(norm: Callable[[Builder, str], str], opset: int = 17, shift: float = 0.0) -> onnx.ModelProto:
    """A layer, whose channels have another mean than zero, the norm of them, and a layer that reads it."""
    b = Builder("normed", opset=opset, ir_version=10)
    h = b.add(b.matmul(b.input("x", ["N", 5, 6]), WIDTH), b.const(np.full(WIDTH, shift, np.float32)))
    return b.model(b.matmul(norm(b, h), 3))


def layer_norm(b: Builder, x: str) -> str:
    return b.layer_norm(x)


def rms_norm(b: Builder, x: str) -> str:
    return b.node("RMSNormalization", [x, b.vector(WIDTH, 0.6, 1.4, "gamma")], axis=-1, epsilon=1e-3)


def group_norm(b: Builder, x: str) -> str:
    """One group, of all channels and positions."""
    vectors = [b.vector(WIDTH, 0.6, 1.4, "gamma"), b.vector(WIDTH)]
    normal = b.node("GroupNormalization", [b.transpose(x, 0, 2, 1), *vectors], num_groups=1)
    return b.transpose(b.declare(normal, ["N", WIDTH, 5]), 0, 2, 1)


def instance_norm(b: Builder, x: str) -> str:
    """The same as exporters write it."""
    vectors = [b.vector(1, 0.6, 1.4, "gamma"), b.vector(1)]
    normal = b.node("InstanceNormalization", [b.reshape(b.transpose(x, 0, 2, 1), 0, 1, -1), *vectors])
    return b.transpose(b.reshape(normal, 0, WIDTH, 5), 0, 2, 1)


def centred(b: Builder, x: str) -> str:
    return b.node("Sub", [x, b.mean(x, -1)])


def first(channels: Channels, counts: int) -> dict[str, np.ndarray]:
    (group,) = channels.groups
    return {group.name: group.cells[0][:counts]}


NORMS = [(layer_norm, 17), (rms_norm, 23), (centred, 17), (group_norm, 21), (instance_norm, 17)]


@pytest.mark.parametrize(("norm", "opset"), NORMS)
@pytest.mark.parametrize("shift", [0.0, 3.0])
def test_removing_twice_equals_masking_once(norm: Callable[[Builder, str], str], opset: int, shift: float) -> None:
    model = network(norm, opset, shift)
    graph, inputs = graph_of(model), feeds(model, seed=1)
    channels = analyse(graph)
    once = removed(graph, channels, first(channels, 8))
    again = analyse(once)
    twice = removed(once, again, first(again, 3))
    wanted = masked(graph, channels, first(channels, 3))
    assert distance(wanted, twice, inputs) < 1e-5 < 1e-2 < distance(wanted, once, inputs)


def test_a_norm_computes_as_numpy_does_with_zeros() -> None:
    model = network(layer_norm, shift=2.0)
    graph, inputs = graph_of(model), feeds(model, seed=0)
    channels = analyse(graph)
    stored = {t.name: numpy_helper.to_array(t).astype(np.float64) for t in model.graph.initializer}
    norm = next(node for node in model.graph.node if node.op_type == "LayerNormalization")
    weights = [stored[node.input[1]] for node in model.graph.node if node.op_type == "MatMul"]
    shifts = [stored[node.input[1]] for node in model.graph.node if node.op_type == "Add"]
    x = inputs["x"].astype(np.float64) @ weights[0] + shifts[0] + shifts[1]
    x[..., 5:] = 0
    normal = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
    normal = normal * stored[norm.input[1]] + stored[norm.input[2]]
    wanted = normal[..., :5] @ weights[1][:5] + shifts[2]
    found = run(removed(graph, channels, first(channels, 5)), inputs)[0]
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("kind", "most"), [(np.float16, 5e-3), (np.float64, 1e-6)])
def test_other_precisions_keep_their_type(kind: type, most: float) -> None:
    model = network(layer_norm)
    for tensor in model.graph.initializer:
        array = numpy_helper.to_array(tensor)
        if array.dtype == np.float32:
            tensor.CopyFrom(numpy_helper.from_array(array.astype(kind), tensor.name))
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.elem_type = helper.np_dtype_to_tensor_dtype(np.dtype(kind))
    graph = graph_of(model)
    channels = analyse(graph)
    assert oracle_error(graph, channels, first(channels, 7), feeds(model, seed=0)) < most


def test_a_mean_of_integers_keeps_its_channels() -> None:
    b = Builder("integers")
    ids = b.input("x", ["N", 5], np.int64)
    table = b.const(np.arange(40, dtype=np.int64).reshape(10, 4))
    mean = b.node("ReduceMean", [b.node("Gather", [table, ids])], axes=[-1])
    assert not analyse(graph_of(b.model(mean))).groups


@pytest.mark.parametrize("name", ["layer_norm", "rms_norm", "layer_norm_outputs", "reduce_mean_channels"])
def test_all_channels_of_a_norm_are_free(name: str) -> None:
    graph: Graph = graph_of(ZOO[name]())
    assert {16, 24} & {group.width for group in analyse(graph).groups}


def test_the_oracle_bears_half_precision_but_no_more() -> None:
    model = network(group_norm, 21, 1.0)
    for tensor in model.graph.initializer:
        array = numpy_helper.to_array(tensor)
        if array.dtype == np.float32:
            tensor.CopyFrom(numpy_helper.from_array(array.astype(np.float16), tensor.name))
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.elem_type = onnx.TensorProto.FLOAT16
    graph = graph_of(model)
    shared = Context(OrtRunner(1), graph.copy())
    records = PassManager.parse("select-channels{keep=0.6},remove-channels").run(graph, shared)
    assert TOLERANCE < records[-1].figures["oracle_error"] < 2e-3
