"""Whether the stored numbers of a model can compute anything: no NaN, and no infinity where it would be multiplied.

Masks and limits are infinite for good reason: a constant that is added, compared, chosen or only moved may be.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..ir.errors import InvalidModelError
from ..ir.graph import Array, Graph, Node, Tensor

# fmt: off
_MOVED = frozenset({
    "Cast", "CastLike", "Concat", "Expand", "Flatten", "Gather", "Identity", "Pad", "Reshape", "Slice", "Split",
    "Squeeze", "Tile", "Transpose", "Unsqueeze",
})
_MULTIPLIED = frozenset({
    "BatchNormalization", "Conv", "ConvInteger", "ConvTranspose", "DeformConv", "DequantizeLinear", "Einsum",
    "FusedConv", "FusedGemm", "FusedMatMul", "GRU", "Gemm", "GroupNormalization", "InstanceNormalization", "LSTM",
    "LayerNormalization", "MatMul", "MatMulInteger", "Mul", "PRelu", "QLinearConv", "QLinearMatMul",
    "QuantizeLinear", "RMSNormalization", "RNN", "SimplifiedLayerNormalization", "SkipLayerNormalization",
})
# fmt: on
_VARIANCE, _EPSILON = 4, 1e-5


def check_finite(graph: Graph) -> None:
    """Raise InvalidModelError for NaN in a constant or attribute, subgraphs included, for an infinite weight of a
    layer, and for a variance of which no root can be taken.
    """
    for tensor in graph.every_constant():
        array = tensor.array
        if not _floating(array) or np.isfinite(array).all():
            continue
        readers = tensor.consumers
        if np.isnan(array).any():
            raise _refused(f"weight '{tensor.name}' holds NaN", readers[0] if readers else None)
        reader = _multiplier(tensor)
        if reader is not None:
            raise _refused(f"weight '{tensor.name}' holds Inf", reader)
    for node in graph.every_node():
        _check_attributes(node)
        _check_variance(node, graph.opset)


def _floating(array: Array) -> bool:
    """Whether an array holds floats, of numpy or of a type that it does not know itself."""
    return array.dtype.kind in "fc" or (array.dtype.kind == "V" and array.dtype.name.startswith(("bfloat", "float")))


def _multiplier(tensor: Tensor) -> Node | None:
    """Return a layer that reads a constant as it is or moved, if there is one."""
    seen, waiting = {tensor}, [tensor]
    while waiting:
        for node in waiting.pop().consumers:
            if node.op in _MULTIPLIED:
                return node
            moved = [each for each in node.outputs if each not in seen] if node.op in _MOVED else []
            seen.update(moved)
            waiting += moved
    return None


def _check_attributes(node: Node) -> None:
    for name, value in node.attributes.items():
        if any(np.isnan(array).any() for array in _numbers(value)):
            raise _refused(f"attribute '{name}' is NaN", node)


def _numbers(value: Any) -> Iterator[Array]:
    several = isinstance(value, list) and bool(value) and isinstance(value[0], float)
    if several or isinstance(value, float) or (isinstance(value, np.ndarray) and _floating(value)):
        yield np.asarray(value)


def _check_variance(node: Node, opset: int) -> None:
    if node.op != "BatchNormalization" or node.domain or len(node.inputs) <= _VARIANCE:
        return
    variance = node.inputs[_VARIANCE]
    if variance.is_constant and (variance.array + node.attribute("epsilon", opset, _EPSILON) < 0).any():
        raise _refused(f"variance '{variance.name}' is negative", node)


def _refused(message: str, node: Node | None) -> InvalidModelError:
    where = {} if node is None else {"node_name": node.name or "(none)", "op_type": node.op}
    return InvalidModelError(message, **where, hint="export the model again")
