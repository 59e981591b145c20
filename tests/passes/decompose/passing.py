"""Networks for the passes that rewrite layers, and runs of pipelines on them."""

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from oracle import graph_of
from zoo import feeds
from zoo.builder import Builder

from optimise_onnx.backends.ort import OrtRunner
from optimise_onnx.ir.feeds import Calibration, batch_size
from optimise_onnx.ir.graph import Graph
from optimise_onnx.passes.base import Context, Outcome
from optimise_onnx.passes.decompose.decompose import Decompose
from optimise_onnx.passes.manager import PassManager, apply
from optimise_onnx.passes.syntax import parse

Array = NDArray[Any]
WIDE = 64  # channels, enough for blocks in multiples of 16


def structured(kind: str) -> onnx.ModelProto:
    """Two convolutions, of which the second has a weight that a form of the family ``kind`` gives exactly."""
    b = Builder(kind)
    x = b.relu(b.conv(b.input("x", ["N", 3, 6, 7]), WIDE))
    y = b.conv_with(x, [b.const(_weight(kind, b.rng).astype(np.float32)), b.vector(WIDE)])
    return b.model(b.relu(y))


def _weight(kind: str, rng: np.random.Generator) -> Array:
    weight = rng.standard_normal((WIDE, WIDE, 3, 3)) / 24
    match kind:
        case "stretch":
            one, other = rng.standard_normal((4, WIDE, 3)), rng.standard_normal((WIDE, 4, 3))
            return np.einsum("rcv,orh->ocvh", one, other) / 24
        case "low-rank":
            return np.einsum("rcvh,or->ocvh", rng.standard_normal((6, WIDE, 3, 3)), rng.standard_normal((WIDE, 6))) / 24
        case "strided":
            weight[:, :, 1] = 0
        case "grouped":
            group, maps = rng.permutation(WIDE) % 4, rng.permutation(WIDE) % 4
            weight[group[:, None] != maps] = 0
    return weight


def network(kind: str) -> onnx.ModelProto:
    """Small networks in which the layers to rewrite stand in different places."""
    b = Builder(kind)
    match kind:
        case "matmul":
            x = b.relu(b.matmul(b.input("x", ["N", 5, 12]), 24, bias=False))
            y = b.relu(b.matmul(x, 24, bias=False))
            return b.model(b.matmul(b.add(y, x), 10))
        case "biased_matmul":
            x = b.relu(b.matmul(b.input("x", ["N", 5, 12]), 24))
            return b.model(b.matmul(b.add(b.matmul(x, 24), x), 10))
        case "grouped":
            x = b.relu(b.conv(b.input("x", ["N", 3, 6, 7]), 32))
            return b.model(b.conv(b.relu(b.conv(x, 32, group=2)), 8))
        case "tiny":
            x = b.relu(b.conv(b.input("x", ["N", 3, 6, 6]), 16, stride=2))
            return b.model(b.conv(x, 1, pad=0))
        case _:
            x = b.relu(b.conv(b.input("x", ["N", 3, 6, 7]), 24))
            y = b.add(b.conv(b.relu(b.conv(x, 24)), 24), x)
            return b.model(b.head(b.relu(y), 6))


def calibrated(model: onnx.ModelProto, count: int, seed: int = 0) -> tuple[Graph, Context]:
    """Import a model; the context has ``count`` random samples, or none."""
    graph = graph_of(model)
    samples = Calibration.from_arrays(feeds(model, 1, count)) if count else None
    if samples is not None:
        step = batch_size(graph, 1)
        samples = Calibration(samples.source, samples.samples, step=step)
    return graph, Context(OrtRunner(1), graph.copy(), samples, seed)


def run(pipeline: str, graph: Graph, shared: Context) -> Graph:
    """Run passes on a copy; passes that change it and do not say so fail."""
    copy = graph.copy()
    parsed = PassManager.parse(pipeline, given=shared.plan.facts)
    PassManager(parsed.passes, fingerprint=True).run(copy, shared)
    return copy


def decompose(text: str, graph: Graph, shared: Context) -> tuple[Graph, Outcome]:
    """Run ``decompose`` with options on a copy; return that and what it says."""
    copy = graph.copy()
    (step,) = parse(f"decompose{{{text}}}" if text else "decompose", {"decompose": Decompose})
    return copy, apply(step, copy, shared)
