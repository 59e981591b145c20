"""Read a model into the IR, checked by the onnx checker and by onnxruntime."""

import onnx
import onnx.checker

from ..ir.budget import check_budget
from ..ir.errors import InvalidModelError, OptimiseOnnxError
from ..ir.graph import Graph
from ..ir.inference import check_inference, without_mapped
from ..ir.runner import Runner
from .finite import check_finite
from .formats import read
from .given import NOTHING, Given, called
from .normalise import normalise
from .scripts import said
from .wellformed import check_claims

_OLDEST = 7
_TENSORS = "inputs and outputs must be tensors: export the model without it"


def load(source: object, runner: Runner | None = None, given: Given = NOTHING) -> tuple[Graph, list[str]]:
    """Return the graph and the list of changes that reading made; see :data:`.formats.FRONT_ENDS` for what is read.

    ``given`` is what the user says of a model of another framework.

    Raises InvalidModelError when the file is unreadable, refused by the checker or by the runner, contradicts itself,
    holds NaN or Inf weights, misses its external data, or uses an opset outside 7 to the newest onnx knows;
    BudgetError when it cannot be run in the memory that may be used.
    """
    try:
        graph, changes = _read(source, given)
    except OptimiseOnnxError:
        raise
    except Exception as error:  # whatever the libraries that read models meet in this one
        raise InvalidModelError(f"cannot read {called(source)}", why=said(error)) from error
    check_budget(graph)
    if runner is not None:
        runner.session(graph)
    return graph, changes


def _read(source: object, given: Given) -> tuple[Graph, list[str]]:
    model = read(source, given)
    check_claims(model)
    _check(model, source)
    model, changes = normalise(model)
    check_inference(model)
    graph = Graph.of(model)
    check_finite(graph)
    graph.light()  # that what was read can be written
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
    for value in (*model.graph.input, *model.graph.output):
        if value.type.WhichOneof("value") not in (None, "tensor_type"):
            kind = value.type.WhichOneof("value").removesuffix("_type")
            raise InvalidModelError(f"'{value.name}' of {called(source)} is a {kind}", hint=_TENSORS)
    large = sum(t.ByteSize() for t in model.graph.initializer) > 2**30
    if not large:
        try:
            onnx.checker.check_model(without_mapped(model))
        except onnx.checker.ValidationError as error:
            raise InvalidModelError(
                f"the onnx checker refuses {called(source)}", why=str(error).splitlines()[0]
            ) from error
