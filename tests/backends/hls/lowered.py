"""What the tests of the lowering share: graphs, their outputs before a softmax, and those of the lowered network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from optimise_onnx.backends.hls import reference
from optimise_onnx.backends.hls.lowering import lower
from optimise_onnx.backends.hls.network import Network
from optimise_onnx.backends.ort import OrtRunner
from optimise_onnx.frontends.load import load
from optimise_onnx.ir.graph import Graph, Tensor
from optimise_onnx.passes.base import Context
from optimise_onnx.passes.cleanup.constants import FoldConstants
from tests.oracle import run
from tests.zoo.builder import Builder

Array = NDArray[Any]
RUNNER = OrtRunner(1)
SIDE = (7, 6)


def prepared(source: Any) -> Graph:
    """Read a model and fold its constants."""
    graph, _ = load(source, RUNNER)
    FoldConstants().run(graph, Context(RUNNER, graph.copy()))
    return graph


def picture(channels: int = 4, opset: int = 17) -> tuple[Builder, str]:
    """Start a model whose input is a picture that is not square."""
    b = Builder("case", opset=opset)
    return b, b.input("x", ["N", channels, *SIDE])


def samples(graph: Graph, count: int = 2, seed: int = 0) -> dict[str, Array]:
    """Draw samples for each input that is read; one where the model says so."""
    rng = np.random.default_rng(seed)
    return {tensor.name: _drawn(tensor, count, rng) for tensor in graph.inputs if tensor.consumers}


def _drawn(tensor: Tensor, count: int, rng: np.random.Generator) -> Array:
    assert tensor.shape is not None
    batch = 1 if tensor.shape[0] == 1 else count
    sizes = [batch, *(size for size in tensor.shape[1:] if isinstance(size, int))]
    if np.dtype(tensor.dtype).kind == "u":
        return rng.integers(0, 256, sizes).astype(tensor.dtype)
    return rng.standard_normal(sizes).astype(np.float32)


def scores(graph: Graph, feeds: Mapping[str, Array]) -> dict[str, Array]:
    """Run the graph in onnxruntime, not optimised; an output of a softmax is replaced by what the softmax reads."""
    probe, names = graph.copy(), [tensor.name for tensor in graph.outputs]
    ends = []
    for tensor in probe.outputs:
        node = tensor.producer
        assert node is not None
        ends.append(node.inputs[0] if "Softmax" in node.op else tensor)
    for end in ends:
        end._raw.dtype = end.dtype or np.float32
    probe.set_outputs(ends)
    return dict(zip(names, run(probe, feeds), strict=True))


def check(source: onnx.ModelProto | Graph, count: int = 2) -> Network:
    """Require that the lowered network gives the model's outputs, to 1e-4 of the largest; return it."""
    graph = source if isinstance(source, Graph) else prepared(source)
    network = lower(graph)
    assert all(network.readers(layer.name) or layer.name in network.outputs for layer in network.layers)
    feeds = samples(graph, count)
    given = reference.run_tensors(network, feeds)
    for name, wanted in scores(graph, feeds).items():
        assert given[name].shape == wanted.shape
        assert np.abs(given[name] - wanted).max() <= 1e-4 * np.abs(wanted).max() + 1e-7
    return network


def kinds(network: Network) -> list[str]:
    """List the kinds of layers in order, the input left out."""
    return [type(layer).__name__ for layer in network.layers[1:]]
