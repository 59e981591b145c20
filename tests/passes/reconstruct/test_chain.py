"""Chains: where they run, their derivatives against differences, and what fitting them together gains."""

from collections.abc import Callable
from typing import Any

import digits
import numpy as np
import pytest
from numpy.typing import NDArray
from oracle import graph_of
from zoo import feeds
from zoo.builder import Builder

from optimise_onnx.backends.ort import OrtRunner
from optimise_onnx.ir.feeds import Calibration
from optimise_onnx.ir.graph import Graph
from optimise_onnx.ir.shapes import concrete, input_sizes
from optimise_onnx.passes.analysis.layers.linear import linear_layers, stored_weight
from optimise_onnx.passes.analysis.layers.writing import stored_bias
from optimise_onnx.passes.analysis.statistics.input_moments import rows_wanted
from optimise_onnx.passes.analysis.statistics.moments import Moments
from optimise_onnx.passes.base import Context
from optimise_onnx.passes.manager import PassManager
from optimise_onnx.passes.reconstruct import paired
from optimise_onnx.passes.reconstruct.alternation import Alternation, held_apart
from optimise_onnx.passes.reconstruct.chain import Chain, chain_from
from optimise_onnx.passes.reconstruct.derivatives import Derivatives
from optimise_onnx.passes.reconstruct.joint import JointFit, Piece
from optimise_onnx.passes.reconstruct.paired import joint

Array = NDArray[Any]


def conv_pair(b: Builder) -> str:
    return b.conv(b.relu(b.conv(b.input("x", ["N", 4, 9, 7]), 6, stride=2)), 5)


def padded(b: Builder) -> str:
    weight = b.weight([5, 6, 2, 3])
    x = b.relu6(b.conv(b.input("x", ["N", 4, 9, 8]), 6, 1))
    return b.node("Conv", [x, weight], pads=[0, 1, 2, 0], strides=[2, 3], dilations=[2, 1])


def narrowing(b: Builder) -> str:
    weight = b.weight([3, 8, 2, 3])
    x = b.node("Conv", [b.input("x", ["N", 8, 6, 7]), weight], pads=[1, 0, 0, 2])
    return b.conv(b.relu(x), 5)


def same(b: Builder) -> str:
    x = b.relu(b.conv(b.input("x", ["N", 4, 8, 8]), 6))
    return b.node("Conv", [x, b.weight([5, 6, 3, 3]), b.vector(5)], auto_pad="SAME_UPPER", strides=[2, 2])


def inverted_residual(b: Builder) -> str:
    x = b.relu6(b.conv(b.input("x", ["N", 3, 8, 8]), 8, 1))
    return b.conv(b.relu6(b.depthwise(x, stride=2)), 4, 1)


def gemms(b: Builder) -> str:
    return b.gemm(b.relu(b.gemm(b.input("x", ["N", 7]), 9)), 5)


def tokens(b: Builder) -> str:
    return b.matmul(b.relu(b.matmul(b.input("x", ["N", 6, 7]), 9)), 5)


def quantised(b: Builder) -> str:
    """Codes so fine that rounding does not show, and a range that cuts off as a Relu does."""
    scale, zero = b.const(np.float32(1e-4)), b.const(np.uint16(0))
    y = b.node("QuantizeLinear", [b.gemm(b.input("x", ["N", 7]), 9), scale, zero])
    return b.gemm(b.node("DequantizeLinear", [y, scale, zero]), 5)


CHAINS = (conv_pair, narrowing, padded, same, inverted_residual, gemms, tokens, quantised)


def made(build: Callable[[Builder], str]) -> tuple[Graph, Chain, Derivatives, Array]:
    """Build a network of one chain; return it, its derivatives and a batch of inputs."""
    b = Builder(build.__name__, opset=21, ir_version=10)
    model = b.model(build(b))
    graph = graph_of(model)
    shapes = concrete(graph, input_sizes(graph, 3))
    layers = linear_layers(graph, shapes)
    chain = chain_from(graph, layers, shapes, next(iter(layers.values())))
    assert chain is not None
    return graph, chain, Derivatives(graph, chain, shapes, OrtRunner(1)), feeds(model, 0, 16)["x"]


def weights(graph: Graph, layer: Any) -> tuple[Array, Array]:
    node = graph.node(layer.node)
    return stored_weight(graph, node, layer), stored_bias(graph, node, layer).astype(np.float32)


@pytest.mark.parametrize("build", CHAINS)
def test_forward_is_the_graph(build: Callable[[Builder], str]) -> None:
    graph, chain, links, x = made(build)
    (wanted,) = OrtRunner(1).session(graph).run({"x": x}).values()
    found = links.tail(links.head(x, weights(graph, chain.first)), weights(graph, chain.last))
    np.testing.assert_allclose(found.out, wanted, atol=1e-3 if build is quantised else 1e-5)


@pytest.mark.parametrize("build", CHAINS)
def test_change_is_a_difference_and_adjoint_its_transpose(build: Callable[[Builder], str]) -> None:
    graph, chain, links, x = made(build)
    (w, bias), last = weights(graph, chain.first), weights(graph, chain.last)
    rng = np.random.default_rng(0)
    dw, db = (rng.standard_normal(part.shape).astype(np.float32) for part in (w, bias))
    at = links.tail(links.head(x, (w, bias)), last)
    inner = links.head(x, (dw, db))
    change = links.change(inner, at)
    tiny = np.float32(1e-3)
    moved = links.tail(links.head(x, (w + tiny * dw, bias + tiny * db)), last).out
    assert np.abs((moved - at.out) / tiny - change).mean() < 0.02 * np.abs(change).mean()
    slope = rng.standard_normal(at.out.shape).astype(np.float32)
    unit = 1e-2 * np.abs(change).mean() * np.sqrt(change.size)
    assert abs(np.vdot(slope, change) - np.vdot(links.adjoint(slope, at), inner)) < unit


@pytest.mark.parametrize("build", CHAINS)
def test_steps_lower_the_error_on_samples_kept_apart(build: Callable[[Builder], str]) -> None:
    graph, chain, links, _ = made(build)
    first, last = weights(graph, chain.first), weights(graph, chain.last)
    layer, rng = chain.first, np.random.default_rng(0)
    x = feeds(graph.to_model(), 0, 256)["x"]

    def given(weights: tuple[Array, Array], x: Array) -> Array:
        return links.tail(links.head(x, weights), last).out

    y = given(first, x)
    off = first[0] + 0.5 * np.abs(first[0]).mean() * rng.standard_normal(first[0].shape).astype(np.float32)
    moments = Moments(layer.fan_in, 0)
    rows = layer.rows(x)[0]
    moments.update(rows, rows[:, :0])
    cut = len(rows) // 256 * 192
    train, held = Piece(x[:192], y[:192], None, rows[:cut]), Piece(x[192:], y[192:], None, rows[cut:])
    fit = JointFit(links, layer, joint(moments), 1e-3, [train], [held], rng)
    start = layer.matrix(off), first[1].astype(np.float64)
    fits = [start, *(fit.improve(start, fit.inner(start, off), off, last, steps) for steps in (1, 8))]
    errors = [float(((given(fit.stored(found, off), held.x) - held.y) ** 2).mean()) for found in fits]
    assert errors[2] < errors[1] < errors[0]
    assert errors[2] < 0.1 * errors[0]


def other_reader(b: Builder) -> str:
    x = b.conv(b.input("x", ["N", 4, 8, 8]), 6)
    return b.add(b.conv(b.relu(x), 6), x)


def no_activation(b: Builder) -> str:
    return b.conv(b.conv(b.input("x", ["N", 4, 8, 8]), 6), 5)


def sigmoid(b: Builder) -> str:
    return b.conv(b.sigmoid(b.conv(b.input("x", ["N", 4, 8, 8]), 6)), 5)


@pytest.mark.parametrize("build", [other_reader, no_activation, sigmoid])
def test_no_chain(build: Callable[[Builder], str]) -> None:
    b = Builder(build.__name__)
    graph = graph_of(b.model(build(b)))
    shapes = concrete(graph, input_sizes(graph, 3))
    layers = linear_layers(graph, shapes)
    assert chain_from(graph, layers, shapes, next(iter(layers.values()))) is None


def split(build: Callable[[Builder], str], text: str) -> tuple[Graph, dict[str, Any], Any, set[str]]:
    """Decompose the layers of a network; return it with its layers, shapes and first halves."""
    b = Builder(build.__name__)
    graph = graph_of(b.model(build(b)))
    shared = Context(OrtRunner(1), graph.copy())
    PassManager.parse(f"decompose{{{text}}}").run(graph, shared)
    shapes = concrete(graph, input_sizes(graph, 3))
    inner = {node for name, form in shared.plan.written.items() for node in form.nodes if node != name}
    return graph, linear_layers(graph, shapes), shapes, inner


def deep(b: Builder) -> str:
    x = b.relu6(b.conv(b.input("x", ["N", 4, 8, 8]), 8, 1))
    return b.conv(b.relu6(b.depthwise(x)), 4, 1)


@pytest.mark.parametrize(
    ("build", "family", "between"),
    [
        (conv_pair, "stretch", ["Relu", "Conv"]),
        (gemms, "low-rank", ["Relu", "MatMul"]),
        (tokens, "low-rank", ["Relu", "MatMul"]),
        (deep, "stretch", ["Clip", "Conv", "Conv", "Clip"]),
    ],
)
def test_chains_pass_through_first_halves(build: Callable[[Builder], str], family: str, between: list[str]) -> None:
    """No tensor of the original says what a first half should give, so it is part of the way to the second one."""
    graph, layers, shapes, inner = split(build, f"forms={family},share=0.99")
    start = next(layer for name, layer in layers.items() if name not in inner)
    chain = chain_from(graph, layers, shapes, start, inner)
    assert chain is not None
    assert [node.op for node in chain.between] == between
    assert chain.last.node not in inner and chain.last.output == list(layers.values())[-1].output
    links = Derivatives(graph, chain, shapes, OrtRunner(1))
    rng, size = np.random.default_rng(0), [3, *shapes[start.input][1:]]
    x = rng.standard_normal(size).astype(np.float32)
    (w, bias), last = weights(graph, start), weights(graph, chain.last)
    at = links.tail(links.head(x, (w, bias)), last)
    before = graph.tensors()[start.input].producer
    rest = {node.name for node in graph.nodes if node != before}
    part = graph.part(rest, {start.input: [x]}, [graph.outputs[0].name])
    np.testing.assert_allclose(at.out, *OrtRunner(1).session(part).run({start.input: x}).values(), atol=1e-5)
    inside = links.head(x, (rng.standard_normal(w.shape).astype(np.float32), np.zeros_like(bias)))
    change, slope = links.change(inside, at), rng.standard_normal(at.out.shape).astype(np.float32)
    unit = 1e-4 * float(np.linalg.norm(change) * np.linalg.norm(slope))
    assert abs(np.vdot(slope, change) - np.vdot(links.adjoint(slope, at), inside)) < unit


def test_fitting_chains_beats_single_layers_on_the_trained_network() -> None:
    errors = []
    for rounds in (0, 1):
        text = f"select-channels{{keep=0.5}},remove-channels,reconstruct{{rounds={rounds}}}"
        errors.append(digits.examiner().of(digits.run(text, digits.context())))
    assert errors[1] < errors[0]


def test_dead_inputs_and_few_samples() -> None:
    b = Builder("dead")
    x = b.relu(b.conv(b.input("x", ["N", 4, 8, 8]), 8))
    model = b.model(b.head(b.conv(b.relu(b.conv(x, 8)), 6)))
    for count in (1, 2, 9):
        values = feeds(model, 0, count)
        values["x"][:, 1:] = 0.0
        graph = graph_of(model)
        shared = Context(OrtRunner(1), graph.copy(), Calibration.from_arrays(values))
        PassManager.parse("select-channels{keep=0.5},remove-channels,reconstruct").run(graph, shared)
        assert all(np.isfinite(t.array).all() for t in graph.constants() if t.array.dtype.kind == "f")


def test_the_last_layer_is_solved_even_where_the_first_keeps_its_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """On the ToyCar autoencoder, leaving it as it was made the error six times larger."""
    solved: list[Array] = []
    plain_fit, plain_last = paired.fitted, Alternation._last

    def unsure(halves: Any, prior: Array) -> tuple[Array, Array, float]:
        return (*plain_fit(halves, prior)[:2], 1.0)

    def last(self: Alternation, *arguments: Any) -> Any:
        found = plain_last(self, *arguments)
        solved.append(found[0])
        return found

    monkeypatch.setattr(paired, "fitted", unsure)
    monkeypatch.setattr(Alternation, "_last", last)
    b = Builder("unsure")
    middle = b.relu(b.conv(b.relu(b.conv(b.input("x", ["N", 4, 9, 7]), 6)), 6))
    model = b.model(b.conv(middle, 5))
    graph, values = graph_of(model), feeds(model, 0, 24)
    shared = Context(OrtRunner(1), graph.copy(), Calibration.from_arrays(values))
    PassManager.parse("select-channels{keep=0.5},remove-channels,reconstruct").run(graph, shared)
    assert len(solved) == 1


@pytest.mark.parametrize("samples", [256, 4096])
def test_what_is_held_gives_as_many_rows_however_many_samples_there_are(samples: int) -> None:
    graph, chain, _, _ = made(conv_pair)
    layer, rng = chain.first, np.random.default_rng(0)
    x = np.zeros((64, layer.fan_in // 9, 64, 64), np.float32)  # of a kernel of 3 x 3
    pieces = held_apart(layer, ((x, x) for _ in range(samples // 64)), samples, rng)
    held = [piece for part in pieces for piece in part]
    assert sum(len(piece.rows) for piece in held) >= rows_wanted(layer.fan_in)
