"""One convolution to rewrite, statistics to fit with, and the check that a written form is the dense layer it means."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray
from zoo.builder import Builder

from optimise_onnx.ir.cost import cost, total
from optimise_onnx.ir.graph import Graph
from optimise_onnx.ir.shapes import concrete, input_sizes
from optimise_onnx.passes.analysis.layers.forms import Fitted, Form, Written
from optimise_onnx.passes.analysis.layers.linear import Linear, linear_layers, stored_weight
from optimise_onnx.passes.analysis.layers.writing import stored_bias, write_bias, write_weight
from tests.oracle import distance, graph_of

Array = NDArray[Any]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Case:
    """A graph with one convolution between an input and a Relu."""

    graph: Graph
    layer: Linear
    weight: Floats
    feeds: dict[str, Array]

    @property
    def sizes(self) -> tuple[int, ...]:
        return self.feeds["x"].shape[2:]


def conv_case(
    inputs: int,
    outputs: int,
    kernel: tuple[int, ...],
    *,
    extra: int = 6,
    bias: bool = True,
    opset: int = 17,
    **attributes: Any,
) -> Case:
    """Build the case; ``extra`` is how much larger the input is than the kernel's reach."""
    dilations = attributes.get("dilations", [1] * len(kernel))
    sizes = [(k - 1) * d + 1 + extra for k, d in zip(kernel, dilations, strict=True)]
    b = Builder("conv", opset=opset)
    x = b.input("x", ["N", inputs, *sizes])
    parameters = [b.weight([outputs, inputs, *kernel])] + ([b.vector(outputs)] if bias else [])
    graph = graph_of(b.model(b.relu(b.node("Conv", [x, *parameters], kernel_shape=kernel, **attributes))))
    layer = next(iter(linear_layers(graph, concrete(graph, input_sizes(graph, 1))).values()))
    weight = layer.matrix(stored_weight(graph, graph.node(layer.node), layer))
    values = np.random.default_rng(0).standard_normal((2, inputs, *sizes)).astype(np.float32)
    return Case(graph, layer, weight, {"x": values})


@st.composite
def walks(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a kernel, strides, dilations and pads, explicit and asymmetric or automatic."""
    kernel = draw(st.sampled_from([(3, 3), (5, 5), (7, 7), (3, 5), (5,)]))
    axes = len(kernel)
    found = {
        "kernel": kernel,
        "strides": draw(st.lists(st.integers(1, 3), min_size=axes, max_size=axes)),
        "dilations": draw(st.lists(st.integers(1, 2), min_size=axes, max_size=axes)),
    }
    mode = draw(st.sampled_from(["NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"]))
    if mode != "NOTSET":
        if mode.startswith("SAME"):
            found["dilations"] = [1] * axes  # onnxruntime and the standard differ on the others
        return found | {"auto_pad": mode}
    return found | {"pads": draw(st.lists(st.integers(0, 3), min_size=2 * axes, max_size=2 * axes))}


def features(rng: np.random.Generator, rows: int, width: int) -> Floats:
    """Draw correlated, rectified rows (n, d)."""
    mixing = rng.standard_normal((width, width)) * np.exp(-np.arange(width) / width * 3)[:, None]
    return np.asarray(np.maximum(rng.standard_normal((rows, width)) @ mixing + 0.3, 0))


def moments(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Return Cov(x) (1, d, d) and Cov(x, y) (1, d, m)."""
    rest = x - x.mean(0)
    return (rest.T @ rest / len(x))[None], (rest.T @ (y - y.mean(0)) / len(x))[None]


def statistics(case: Case, rows: int = 400, seed: int = 0) -> tuple[Floats, Floats]:
    """Return statistics of random inputs of the layer and of what it makes of them."""
    x = features(np.random.default_rng(seed), rows, case.layer.fan_in)
    return moments(x, x @ case.weight[0])


def written(case: Case, fitted: Fitted) -> tuple[Graph, Written]:
    """Write a fitted form into a copy of the graph."""
    graph = case.graph.copy()
    nodes = fitted.write(graph, graph.node(case.layer.node), case.layer)
    return graph, Written(case.layer, fitted, nodes)


def dense(case: Case, fitted: Fitted) -> Graph:
    """Write the matrix that a form stands for into the ordinary layer."""
    graph = case.graph.copy()
    node = graph.node(case.layer.node)
    like = stored_weight(graph, node, case.layer)
    write_weight(graph, node, case.layer, case.layer.weight(fitted.matrix, like))
    return graph


def check(case: Case, form: Form, fitted: Fitted) -> Graph:
    """Compare a written form with the dense layer, before and after another bias is written, and its costs."""
    wanted = dense(case, fitted)
    graph, place = written(case, fitted)
    assert distance(wanted, graph, case.feeds) < 1e-5
    for name, weight in zip(place.nodes, fitted.weights(), strict=True):
        np.testing.assert_array_equal(graph.node(name).inputs[1].array, weight.astype(np.float32))
    biases = total(cost(case.graph)).parameters - case.weight.size
    found = total(cost(graph))
    assert found.macs == form.macs(case.layer, case.sizes)
    assert found.parameters == form.parameters(case.layer) + biases
    bias = np.linspace(-1, 1, case.layer.fan_out)
    write_bias(wanted, wanted.node(case.layer.node), case.layer, bias)
    write_bias(graph, graph.node(case.layer.node), case.layer, place.bias(bias))
    assert np.allclose(stored_bias(graph, graph.node(case.layer.node), case.layer), place.bias(bias))
    assert distance(wanted, graph, case.feeds) < 1e-5
    return graph


def degenerate() -> dict[str, Floats]:
    """Rows (n, 36) of four maps with nine taps that leave a covariance singular, by what is wrong with them."""
    rng = np.random.default_rng(3)
    sound = features(rng, 200, 36)
    dead, twin = sound.copy(), sound.copy()
    dead[:, 9:18] = 0
    twin[:, 18:27] = twin[:, :9]
    low = rng.standard_normal((200, 3)) @ rng.standard_normal((3, 36))
    return {"dead": dead, "twin": twin, "low rank": low, "one": sound[:1], "two": sound[:2], "zero": sound * 0}


def ops(graph: Graph) -> list[str]:
    """List the operators before the Relu, sorted."""
    return sorted(node.op for node in graph.nodes if node.op != "Relu")
