"""Peak memory is what a slow, obvious run holds, and its model is exact at other widths."""

from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import graph_of
from zoo import ARCHITECTURES, ZOO
from zoo.builder import Builder

from optimise_onnx.ir.errors import UsageError
from optimise_onnx.ir.graph import Graph
from optimise_onnx.ir.shapes import concrete, input_sizes
from optimise_onnx.passes.analysis.channels.groups import Channels, analyse
from optimise_onnx.passes.analysis.channels.removal import remove
from optimise_onnx.passes.analysis.costs.peak_memory import PEAK_MEMORY
from optimise_onnx.passes.analysis.costs.steps import Steps

VIEWS = {"Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze"}


def simulated(graph: Graph) -> int:
    """Run step by step: look through all later steps for who still reads a buffer, and add up what is held."""
    shapes = concrete(graph, input_sizes(graph, 1))
    buffer = {tensor.name: tensor.name for tensor in graph.inputs}
    outputs = {tensor.name for tensor in graph.outputs}
    made = {tensor.name: tensor for tensor in graph.inputs}
    peak = 0
    for step, node in enumerate(graph.nodes):
        for tensor in node.outputs:
            source = node.inputs[0].name if node.op in VIEWS else ""
            buffer[tensor.name] = buffer.get(source, tensor.name)
            made.setdefault(tensor.name, tensor)
        later = {t.name for other in graph.nodes[step:] for t in other.inputs} | outputs
        held = {buffer[name] for name in buffer if name in later} | {buffer[t.name] for t in node.outputs}
        live = sum(int(np.prod(shapes[name])) * np.dtype(made[name].dtype).itemsize for name in held)
        weights = {t.name: t.array.nbytes for t in node.inputs if t.is_constant}
        peak = max(peak, live + sum(weights.values()))
    return peak


def drawn(seed: int) -> onnx.ModelProto:
    """A random network: convolutions, sums, views, a tensor read again much later, one or two outputs."""
    rng, b = np.random.default_rng(seed), Builder(f"drawn_{seed}")
    x = b.input("x", ["N", 3, 6, 6])
    known = [x]
    for _ in range(int(rng.integers(1, 9))):
        source = known[int(rng.integers(len(known)))]
        match int(rng.integers(5)):
            case 0:
                known.append(b.conv(source, int(rng.integers(1, 9)), k=int(rng.choice([1, 3]))))
            case 1:
                known.append(b.relu(source))
            case 2:
                known.append(b.add(source, b.relu(source)))
            case 3:
                known.append(b.squeeze(b.unsqueeze(source, 0), 0))
            case _:
                known.append(b.concat(source, known[-1]))
    ends = [b.flatten(known[-1]), known[len(known) // 2]] if rng.random() < 0.5 else [b.conv(known[-1], 2)]
    return b.model(*(end for end in ends if end != x))


@given(st.integers(0, 2**31))
@settings(max_examples=40, deadline=None)
def test_it_is_what_a_run_holds(seed: int) -> None:
    graph = graph_of(drawn(seed))
    graph.clean()
    assert PEAK_MEMORY.of(graph) == simulated(graph)


@pytest.mark.parametrize("name", sorted(ARCHITECTURES))
def test_the_model_is_exact_at_other_widths(name: str) -> None:
    graph = graph_of(ARCHITECTURES[name]())
    channels, rng = analyse(graph), np.random.default_rng(0)
    whole = np.array([group.width for group in channels.groups], float)
    assert PEAK_MEMORY.products(graph, channels).at(whole).max() == pytest.approx(simulated(graph))
    assert_exact(graph, channels, rng)


@pytest.mark.parametrize("name", ["tied_embedding", "transposed_weights", "weight_transposed", "qdq_weight_per_axis"])
def test_weights_that_other_nodes_hand_on_shrink_too(name: str) -> None:
    graph = graph_of(ZOO[name]())
    channels = analyse(graph)
    assert any(group.width > 1 for group in channels.groups)
    assert_exact(graph, channels, np.random.default_rng(0))


def test_a_weight_that_is_read_transposed_is_one() -> None:
    """Kept as a node or stored transposed, a step that reads it holds as much."""
    graph = graph_of(ZOO["weight_transposed"]())
    stored = graph.copy()
    for node in [node for node in stored.nodes if node.op == "Transpose"]:
        array, turned = node.inputs[0].array, node.outputs[0]
        stored.remove(node)
        stored.make_constant(turned, array.T)
    assert PEAK_MEMORY.of(graph) == PEAK_MEMORY.of(stored) == simulated(stored)


def assert_exact(graph: Graph, channels: Channels, rng: np.random.Generator) -> None:
    """Hold the model against counting the graph, whole and with some units removed."""
    steps = PEAK_MEMORY.products(graph, channels)
    whole = np.array([group.width for group in channels.groups], float)
    assert steps.at(whole).max() == pytest.approx(PEAK_MEMORY.of(graph))
    counts = np.array([rng.integers(1, group.width + 1) for group in channels.groups], float)
    kept = {
        group.name: np.concatenate([rng.choice(cell, int(count), replace=False) for cell in group.cells])
        for group, count in zip(channels.groups, counts, strict=True)
    }
    remove(graph, channels, kept)
    lists = sum(t.array.nbytes for t in graph.constants() if t.array.dtype == np.int64)
    assert steps.at(counts).max() == pytest.approx(PEAK_MEMORY.of(graph), abs=2 * lists + 1)


def test_steps_are_sums_and_weighted_sums_of_them() -> None:
    graph = graph_of(ARCHITECTURES["unet"]())
    steps = PEAK_MEMORY.products(graph, analyse(graph))
    rng = np.random.default_rng(0)
    kept, weights = rng.uniform(1, 4, steps.variables), rng.random(steps.count)
    each = [p.factor * p.left.at(kept) * p.right.at(kept) for p in steps.products]
    ends = list(zip(each, steps.first, steps.last, strict=True))
    slow = [sum(value for value, first, last in ends if first <= step <= last) for step in range(steps.count)]
    assert steps.at(kept) == pytest.approx(slow)
    summed = sum(p.factor * p.left.at(kept) * p.right.at(kept) for p in steps.weighed(weights))
    assert summed == pytest.approx(float(weights @ slow))
    beside = steps.beside(steps.products[:1])
    assert beside.at(kept) == pytest.approx(np.array(slow) + each[0])


def test_by_hand() -> None:
    """Conv: input, weights, bias and output; Relu: input and output; the head's flatten shares its input."""
    b = Builder("hand")
    x = b.input("x", ["N", 2, 4, 4])
    y = b.flatten(b.relu(b.conv(x, 5)))
    graph = graph_of(b.model(b.gemm(y, 3)))
    conv = 4 * (2 * 16 + 5 * 2 * 9 + 5 + 5 * 16)
    gemm = 4 * (5 * 16 + 3 * 80 + 3 + 3)
    assert PEAK_MEMORY.of(graph) == max(conv, 4 * 2 * 5 * 16, gemm)


def test_element_types_count() -> None:
    b = Builder("half")
    x = b.node("Cast", [b.input("x", [1, 64])], to=onnx.TensorProto.FLOAT16)
    graph = graph_of(b.model(b.node("Cast", [b.node("Abs", [x])], to=onnx.TensorProto.FLOAT)))
    assert PEAK_MEMORY.of(graph) == 64 * (4 + 2)


def test_unknown_shapes_are_refused() -> None:
    b = Builder("unknown")
    with pytest.raises(UsageError, match="needs the shape of every tensor at NonZero"):
        PEAK_MEMORY.of(graph_of(b.model(b.node("Abs", [b.node("NonZero", [b.input("x", [1, 8])])]))))


def test_no_share_of_a_layer() -> None:
    nothing: Any = None
    with pytest.raises(UsageError, match="forms cannot be weighed in peak-memory"):
        PEAK_MEMORY.whole(nothing, (), 4)


def test_nothing_at_all() -> None:
    empty = Steps((), np.zeros(0, np.int64), np.zeros(0, np.int64), 0)
    assert empty.variables == 0


def quantised() -> Graph:
    """Images as floats, and from there on codes: a convolution, a Relu, a pool, and floats again at the end."""
    b = Builder("quantised")
    x = b.input("x", ["N", 3, 6, 6])
    scale, zero = b.const(np.float32(0.1)), b.const(np.int8(0))
    weight = b.const(np.ones((8, 3, 3, 3), np.int8))
    read = [
        b.node("DequantizeLinear", [codes, scale, zero])
        for codes in (b.node("QuantizeLinear", [x, scale, zero]), weight)
    ]
    h = b.relu(b.node("Conv", read, pads=[1, 1, 1, 1]))
    h = b.node("DequantizeLinear", [b.node("QuantizeLinear", [h, scale, zero]), scale, zero])
    h = b.node("QuantizeLinear", [b.node("MaxPool", [h], kernel_shape=[2, 2], strides=[2, 2]), scale, zero])
    return graph_of(b.model(b.node("DequantizeLinear", [h, scale, zero])))


def test_between_quantisers_codes_are_held_not_floats() -> None:
    graph = quantised()
    images, codes, inner, pooled, weight, scales = 4 * 108, 108, 288, 72, 216, 5
    rounding, convolution = images + codes + scales, codes + inner + weight
    function, ending = inner + inner, pooled + 4 * pooled + scales
    assert PEAK_MEMORY.of(graph) == max(rounding, convolution, function, ending) == convolution
    channels = analyse(graph)
    widths = np.array([group.width for group in channels.groups], float)
    assert PEAK_MEMORY.products(graph, channels).at(widths).max() == convolution
