"""Operators that read or write at places, and sums along an axis."""

from __future__ import annotations

import numpy as np

from .case import Array, Case, spread

X = spread(3, 4)


def _ints(*values: object) -> Array:
    return np.array(values, np.int64)


_ENTRIES = _ints([0, 3, 3], [1, 1, 2], [2, 0, 3])
_ONCE = _ints([0, 3], [1, 2], [2, 0])
PLACES = [
    *(Case("CumSum", X, np.array(axis, np.int64)) for axis in (0, 1, -1)),
    Case("CumSum", X, np.array(1, np.int64), exclusive=1),
    Case("CumSum", X, np.array(0, np.int64), reverse=1),
    Case("CumSum", X, np.array(0, np.int64), reverse=1, exclusive=1),
    Case("GatherElements", X, _ENTRIES, axis=1),
    Case("GatherElements", X, _ints([-1, 0, 2, 1]), axis=0),
    Case("GatherND", X, _ints([0, 1], [2, 3], [0, 1])),
    Case("GatherND", X, _ints([2], [0], [0])),
    Case("GatherND", spread(2, 3, 4), _ints([[-1, 0], [1, 0]], [[0, -2], [1, 2]])),
    Case("ScatterElements", X, _ONCE, spread(3, 2, seed=3), axis=1),
    Case("ScatterElements", X, _ENTRIES, spread(3, 3, seed=3), axis=1, reduction="add"),
    Case("ScatterND", X, _ints([2], [0]), spread(2, 4, seed=3)),
    Case("ScatterND", X, _ints([2], [0], [2]), spread(3, 4, seed=3), reduction="add"),
    Case("TopK", X, _ints(2), outputs=2),
    Case("TopK", X, _ints(2), outputs=2, axis=0, largest=0),
]
