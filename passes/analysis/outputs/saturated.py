"""Outputs of functions that saturate: some round at the size of one, and all hide what differs before them."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from ....ir.graph import Array, Graph, Tensor
from .parts import Part

ROUNDING = frozenset({"HardSigmoid", "Sigmoid"})
"""Operators whose results are computed to roundings of 1, however small they are."""

SATURATING = ROUNDING | {"Softmax", "Tanh"}
"""Operators whose results lie between -1 and 1."""

_STEPS = 4.0


def rounded(every: Collection[Part]) -> frozenset[str]:
    """Name the outputs that are made by rounding functions alone."""
    others = {part.output for part in every if part.op not in ROUNDING}
    return frozenset(part.output for part in every if part.output not in others)


def squashed(graph: Graph, every: Collection[Part]) -> dict[str, Tensor]:
    """Return what saturating functions read, by the part that they have made; nothing behind decisions."""
    tensors = graph.tensors()
    found = {}
    for part in every:
        node = tensors[part.tensor].producer if part.tensor in tensors and not part.decided else None
        if node is not None and node.op in SATURATING and not node.inputs[0].is_constant:
            found[part.tensor] = node.inputs[0]
    return found


def beyond(gap: Array, values: Array) -> Array:
    """Return what of absolute differences is more than numbers about 1 round by, where ``values`` are floats.

    Half precision gets no more than single: its small numbers are as fine as its large ones.
    """
    if values.dtype.kind != "f":
        return gap
    eps = min(float(np.finfo(values.dtype).eps), float(np.finfo(np.float32).eps))
    return np.maximum(gap - _STEPS * eps, 0.0)
