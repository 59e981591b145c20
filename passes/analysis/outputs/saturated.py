"""Outputs of functions that saturate: they round at the size of one, and hide what differs before them."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import numpy as np

from ....ir.graph import Array, Graph
from .parts import Part

SATURATING = frozenset({"HardSigmoid", "Sigmoid", "Softmax", "Tanh"})
"""Operators whose results lie between -1 and 1, and are computed to roundings of 1 however small they are."""

_STEPS = 4.0


def saturated(every: Collection[Part]) -> frozenset[str]:
    """Name the outputs that are made by saturating functions alone."""
    others = {part.output for part in every if part.op not in SATURATING}
    return frozenset(part.output for part in every if part.output not in others)


def squashed(graph: Graph, every: Iterable[Part]) -> list[Part]:
    """Return as parts of the same outputs what their saturating functions read."""
    tensors = graph.tensors()
    makers = ((part, tensors[part.tensor].producer) for part in every if part.op in SATURATING)
    read = ((part, node.inputs[0]) for part, node in makers if node is not None and not node.inputs[0].is_constant)
    return [Part(part.output, tensor.name, tensor.producer.op if tensor.producer else "") for part, tensor in read]


def beyond(gap: Array, values: Array) -> Array:
    """Return what of absolute differences is more than numbers about 1, of the type of ``values``, round by."""
    return np.maximum(gap - _STEPS * float(np.finfo(values.dtype).eps), 0.0)
