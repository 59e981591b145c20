"""Layers to decompose, and statistics to fit them to."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from oracle import distance, graph_of
from zoo.builder import Builder

from optimise_onnx.ir.graph import Graph
from optimise_onnx.passes.analysis.channels.groups import analyse
from optimise_onnx.passes.analysis.layers.forms import Fitted
from optimise_onnx.passes.analysis.layers.linear import Linear, linear_layers, stored_weight
from optimise_onnx.passes.analysis.layers.writing import write_weight

Array = NDArray[Any]


def convolution(
    kernel: Sequence[int], sizes: Sequence[int] = (11, 13), channels: tuple[int, int] = (4, 6), **attributes: Any
) -> Graph:
    """One convolution with a bias, on an image with one sample or several."""
    b = Builder("convolution")
    inputs, outputs = channels
    weight = b.weight([outputs, inputs // attributes.get("group", 1), *kernel])
    x = b.input("x", ["N", inputs, *sizes])
    return graph_of(b.model(b.node("Conv", [x, weight, b.vector(outputs)], **attributes)))


def product(op: str, transposed: bool = False, sizes: tuple[int, int] = (9, 7)) -> Graph:
    """One Gemm or MatMul."""
    b = Builder("product")
    x = b.input("x", ["N", sizes[0]])
    weight = b.weight(sizes[::-1] if transposed else sizes, fan_in=sizes[0])
    extra = {"transB": 1} if transposed else {}
    inputs = [x, weight, b.vector(sizes[1])] if op == "Gemm" else [x, weight]
    return graph_of(b.model(b.node(op, inputs, **extra)))


def the_layer(graph: Graph) -> Linear:
    """Return the only linear layer of a graph."""
    (layer,) = linear_layers(graph, analyse(graph).context.shapes).values()
    return layer


def dense(graph: Graph, layer: Linear) -> Array:
    """Return a layer's weight, (g, d, m)."""
    return layer.matrix(stored_weight(graph, graph.node(layer.node), layer))


def plain(weight: Array) -> tuple[Array, Array]:
    """Statistics without data: identity, and the weight."""
    groups, inputs, _ = weight.shape
    return np.broadcast_to(np.eye(inputs), (groups, inputs, inputs)), weight


def measured(weight: Array, seed: int = 0, decay: float = 1.0) -> tuple[Array, Array]:
    """Correlated statistics, the target being what the weight gives; ``decay`` spreads the variances."""
    rng = np.random.default_rng(seed)
    groups, inputs, _ = weight.shape
    scales = np.arange(1, inputs + 1) ** -decay
    rows = (rng.standard_normal((groups, 4 * inputs, inputs)) * scales) @ rng.standard_normal((groups, inputs, inputs))
    cov = rows.mT @ rows / rows.shape[1]
    return cov, cov @ weight


def loss(matrix: Array, cov: Array, cross: Array, weight: Array) -> float:
    """``E |x matrix - x weight|^2`` over ``E |x weight|^2``; ``cross`` is ``cov @ weight``."""
    off = matrix - weight
    return float(np.vdot(off, cov @ off) / np.vdot(weight, cross))


def image(graph: Graph, seed: int = 0, batch: int = 2) -> dict[str, Array]:
    """Random values for the only input."""
    (tensor,) = graph.inputs
    assert tensor.shape is not None
    sizes = [batch if isinstance(size, str) else size for size in tensor.shape]
    return {tensor.name: np.random.default_rng(seed).standard_normal(sizes).astype(np.float32)}


def written(graph: Graph, fitted: Fitted, layer: Linear) -> tuple[Graph, tuple[str, ...]]:
    """Return a copy with the form in the layer's place, and the nodes that hold its weights."""
    copy = graph.copy()
    names = fitted.write(copy, copy.node(layer.node), layer)
    copy.clean()
    return copy, names


def as_dense(graph: Graph, fitted: Fitted, layer: Linear) -> Graph:
    """Return a copy whose layer has the weight that the form stands for."""
    copy = graph.copy()
    node = copy.node(layer.node)
    write_weight(copy, node, layer, layer.weight(fitted.matrix, stored_weight(copy, node, layer)))
    return copy


def apart(one: Graph, other: Graph) -> float:
    """Return the largest difference of the outputs, relative to the largest entry."""
    return distance(one, other, image(one))
