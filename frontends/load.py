"""Read a model into the IR, checked by the onnx checker and by onnxruntime."""

from pathlib import Path

import numpy as np
import onnx
import onnx.checker

from ..ir.errors import InvalidModelError
from ..ir.graph import Graph
from ..ir.runner import Runner
from .formats import called, read
from .normalise import normalise

_OLDEST = 7


def load(source: str | Path | bytes | onnx.ModelProto, runner: Runner | None = None) -> tuple[Graph, list[str]]:
    """Return the graph and the list of changes that reading made; see :data:`.formats.FRONT_ENDS` for what is read.

    Raises InvalidModelError when the file is unreadable, refused by the checker or by the runner, holds NaN or Inf
    weights, misses its external data, or uses an opset outside 7 to the newest onnx knows.
    """
    model = read(source)
    _check(model, source)
    model, changes = normalise(model)
    graph = Graph.of(model)
    _check_weights(graph)
    if runner is not None:
        runner.session(graph)
    return graph, changes


def _check(model: onnx.ModelProto, source: object) -> None:
    if not model.graph.node and not model.graph.output:
        raise InvalidModelError(f"cannot read {called(source)}", why="it holds no graph")
    newest = onnx.defs.onnx_opset_version()
    version = next((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), 0)
    if not _OLDEST <= version <= newest:
        raise InvalidModelError(
            f"opset {version} of {called(source)} is not supported",
            hint=f"convert it to an opset from {_OLDEST} to {newest}",
        )
    large = sum(len(t.raw_data) for t in model.graph.initializer) > 2**30
    if not large:
        try:
            onnx.checker.check_model(model)
        except onnx.checker.ValidationError as error:
            raise InvalidModelError(
                f"the onnx checker refuses {called(source)}", why=str(error).splitlines()[0]
            ) from error


def _check_weights(graph: Graph) -> None:
    for tensor in graph.constants():
        array = tensor.array
        if array.dtype.kind == "f" and array.size > 1 and np.isnan(array).any():
            reader = tensor.consumers[0]
            raise InvalidModelError(
                f"weight '{tensor.name}' holds NaN",
                node_name=reader.name,
                op_type=reader.op,
                hint="export the model again",
            )
