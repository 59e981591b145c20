"""Read an ``.onnx`` file or bytes into the IR, checked by the onnx checker and by onnxruntime."""

from pathlib import Path

import numpy as np
import onnx
import onnx.checker
from google.protobuf.message import DecodeError

from ..ir.errors import InvalidModelError
from ..ir.graph import Graph
from ..ir.runner import Runner
from .normalise import normalise

_OLDEST = 7


def load(source: str | Path | bytes | onnx.ModelProto, runner: Runner | None = None) -> tuple[Graph, list[str]]:
    """Return the graph and the list of changes that reading made.

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


def read(source: str | Path | bytes | onnx.ModelProto) -> onnx.ModelProto:
    """Parse without checking. Raises InvalidModelError."""
    if isinstance(source, onnx.ModelProto):
        return source
    try:
        if isinstance(source, bytes):
            return onnx.load_model_from_string(source)
        path = Path(source)
        if not path.is_file():
            raise InvalidModelError(f"cannot read '{path}'", why="no such file")
        return onnx.load(path)
    except DecodeError as error:
        raise InvalidModelError(
            f"cannot read {_called(source)}", why="it is not an ONNX file, or is cut short"
        ) from error
    except (OSError, onnx.checker.ValidationError) as error:
        raise InvalidModelError(f"cannot read {_called(source)}", why=str(error).splitlines()[0]) from error


def _called(source: object) -> str:
    return f"'{source}'" if isinstance(source, str | Path) else "the model"


def _check(model: onnx.ModelProto, source: object) -> None:
    if not model.graph.node and not model.graph.output:
        raise InvalidModelError(f"cannot read {_called(source)}", why="it holds no graph")
    newest = onnx.defs.onnx_opset_version()
    version = next((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), 0)
    if not _OLDEST <= version <= newest:
        raise InvalidModelError(
            f"opset {version} of {_called(source)} is not supported",
            hint=f"convert it to an opset from {_OLDEST} to {newest}",
        )
    large = sum(len(t.raw_data) for t in model.graph.initializer) > 2**30
    if not large:
        try:
            onnx.checker.check_model(model)
        except onnx.checker.ValidationError as error:
            raise InvalidModelError(
                f"the onnx checker refuses {_called(source)}", why=str(error).splitlines()[0]
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
