"""Bring a model to the form the IR expects, changing no output: every change is listed."""

import onnx

from ..ir.constants import dense, set_texts_apart, store_constants
from ..ir.protos import bodies
from .functions import inlined

_IR_WITH_FREE_WEIGHTS = 4


def normalise(model: onnx.ModelProto) -> tuple[onnx.ModelProto, list[str]]:
    """Inline local functions, free sizes below zero, stop declaring weights as inputs, and store Constant nodes as
    initializers.
    """
    changes: list[str] = []
    if model.functions:
        changes.append(f"inlined {len(model.functions)} local functions")
        model = inlined(model)
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    changes += _fill_sparse(copy.graph)
    changes += _free_sizes(copy.graph)
    changes += _free_weights(copy)
    texts = set_texts_apart(copy.graph)
    changes += [f"{texts} constants of texts became Constant nodes"] if texts else []
    stored = store_constants(copy)
    changes += [f"{stored} Constant nodes became initializers"] if stored else []
    return copy, changes


def with_free_weights(model: onnx.ModelProto) -> tuple[onnx.ModelProto, list[str]]:
    """Return the model with the IR version that allows weights that are no inputs, where it has such, and what changed.

    onnxruntime does not ask for more, but the checker does. Copies the model only if it has to.
    """
    declared = {value.name for value in model.graph.input}
    if model.ir_version >= _IR_WITH_FREE_WEIGHTS or all(tensor.name in declared for tensor in model.graph.initializer):
        return model, []
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return copy, [_raise_version(copy)]


def _raise_version(model: onnx.ModelProto) -> str:
    old, model.ir_version = model.ir_version, _IR_WITH_FREE_WEIGHTS
    return f"IR version {old} became {_IR_WITH_FREE_WEIGHTS}, the first to allow weights that are no inputs"


def _fill_sparse(graph: onnx.GraphProto) -> list[str]:
    count = len(graph.sparse_initializer)
    graph.initializer.extend(map(dense, graph.sparse_initializer))
    del graph.sparse_initializer[:]
    return [f"{count} sparse weights became dense"] if count else []


def _free_sizes(graph: onnx.GraphProto) -> list[str]:
    """Leave open what exporters of PaddlePaddle and others declare as -1, as onnxruntime does."""
    count = 0
    for scope in (graph, *bodies(graph)):
        for value in (*scope.input, *scope.output, *scope.value_info):
            for size in value.type.tensor_type.shape.dim:
                if size.dim_value < 0:
                    size.ClearField("dim_value")
                    count += 1
    return [f"{count} sizes below zero became open ones"] if count else []


def _free_weights(model: onnx.ModelProto) -> list[str]:
    stored = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in stored]
    dropped = len(model.graph.input) - len(inputs)
    if not dropped:
        return []
    del model.graph.input[:]
    model.graph.input.extend(inputs)
    changes = [f"{dropped} weights were also declared as inputs and no longer are"]
    if model.ir_version < _IR_WITH_FREE_WEIGHTS:
        changes.append(_raise_version(model))
    return changes
