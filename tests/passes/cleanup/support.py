"""What the clean-up tests share: small graphs from ONNX text, passes run on copies, outputs compared exactly run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import onnx.parser
from numpy.typing import NDArray
from onnx import numpy_helper

from optimise_onnx.backends.ort import OrtRunner
from optimise_onnx.ir.graph import Graph
from optimise_onnx.ir.verify import verify
from optimise_onnx.passes.base import Context, Outcome, Pass
from optimise_onnx.passes.cleanup.batch_norm import FoldBatchNorm
from optimise_onnx.passes.cleanup.constants import FoldConstants
from optimise_onnx.passes.cleanup.dead import RemoveDeadChannels
from optimise_onnx.passes.cleanup.duplicate import MergeDuplicateChannels
from tests.oracle import distance, graph_of

Array = NDArray[Any]
PASSES: tuple[Pass, ...] = (FoldConstants(), FoldBatchNorm(), RemoveDeadChannels(), MergeDuplicateChannels())


def build(text: str, weights: Mapping[str, Array] | None = None, opset: int = 17) -> Graph:
    """Parse ``(inputs) => (outputs) {…}`` in ONNX text; ``weights`` become initializers (float64 as float32)."""
    head = f'<ir_version: 8, opset_import: ["" : {opset}]> g '
    model = onnx.parser.parse_model(head + text)
    for name, array in (weights or {}).items():
        stored = array.astype(np.float32) if array.dtype == np.float64 else array
        model.graph.initializer.append(numpy_helper.from_array(stored, name))
    onnx.checker.check_model(model)
    return graph_of(model)


def applied(graph: Graph, *steps: Pass) -> tuple[Graph, list[Outcome]]:
    """Run passes on a copy; the result must be well formed and keep its interface, and `changed` must be true to it."""
    copy = graph.copy()
    context = Context(OrtRunner(1), graph)
    outcomes, before = [], copy.to_model().SerializeToString(deterministic=True)
    for step in steps:
        outcomes.append(step.run(copy, context))
        after = copy.to_model().SerializeToString(deterministic=True)
        assert outcomes[-1].changed == (after != before)
        before = after
    verify(copy, graph)
    return copy, outcomes


def checked(graph: Graph, step: Pass, feeds: Mapping[str, Array], changes: bool = True) -> Graph:
    """Run one pass and require that it changes the graph or not, no output beyond 1e-5, and nothing when run again."""
    result, (outcome,) = applied(graph, step)
    assert outcome.changed is changes
    assert distance(graph, result, feeds) < 1e-5
    assert not applied(result, step)[1][0].changed
    return result


def ops(graph: Graph) -> list[str]:
    """List operator types in order."""
    return [node.op for node in graph.nodes]


def shape(graph: Graph, name: str) -> tuple[int, ...]:
    """Return the shape of a constant."""
    found: tuple[int, ...] = graph.tensors()[name].array.shape
    return found


def parameters(graph: Graph) -> int:
    """Count stored floats."""
    return sum(tensor.array.size for tensor in graph.constants() if tensor.array.dtype.kind == "f")


def normal(*size: int, seed: int = 0) -> Array:
    """Standard normal float32."""
    return np.random.default_rng([seed, *size]).standard_normal(size).astype(np.float32)
