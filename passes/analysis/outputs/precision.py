"""How far two graphs that compute the same may be apart: by the coarsest float type, and the longest sum."""

from math import sqrt

import numpy as np

from ....ir.graph import Array, Graph

_STEPS = 4.0
_SUMS = frozenset({"Conv", "ConvTranspose", "FusedConv", "FusedGemm", "FusedMatMul", "Gemm", "MatMul"})


def precision(graph: Graph) -> float:
    """Return the difference, over the largest number, that roundings alone may make."""
    kinds = [np.dtype(t.dtype) for t in graph.constants() if np.dtype(t.dtype).kind == "f"]
    coarsest = max((float(np.finfo(kind).eps) for kind in kinds), default=float(np.finfo(np.float32).eps))
    products = (t for node in graph.nodes if node.op in _SUMS for t in node.inputs[1:2] if t.is_constant)
    return _STEPS * coarsest * sqrt(max((_length(t.array) for t in products), default=1))


def of_half(graph: Graph) -> bool:
    """Whether some floats that are stored have 16 bits."""
    return any(np.dtype(t.dtype) == np.float16 for t in graph.constants())


def _length(weight: Array) -> int:
    """Return how many products a sum has at most."""
    return int(weight.size // max(min(weight.shape, default=1), 1)) if weight.size else 1
