"""Operators that move data."""

from __future__ import annotations

import numpy as np

from .case import Array, Case, Fixed, spread

X = spread(2, 3, 4)
SQUARE = spread(1, 2, 4, 5)


def ints(*values: int) -> Array:
    """Return a list as operators take it."""
    return np.array(values, np.int64)


def _slice(x: Array, *spans: tuple[int, int, int, int], steps: bool = True) -> Case:
    axes, starts, ends, by = (ints(*column) for column in zip(*spans, strict=True))
    return Case("Slice", x, starts, ends, axes, *([by] if steps else []))


LEAST, MOST = -(2**63), 2**63 - 1

RESHAPES = [
    Case("Flatten", X, axis=2),
    Case("Flatten", X, axis=0),
    Case("Flatten", X, axis=-1),
    Case("Reshape", X, ints(0, -1)),
    Case("Reshape", X, ints(4, 3, 2), allowzero=1),
    Case("Squeeze", spread(1, 3, 1, 2), ints(0, -2)),
    Case("Squeeze", spread(1, 3, 1, 2)),
    Case("Unsqueeze", X, ints(0, -1)),
    Case("Transpose", X, perm=[2, 0, 1]),
    Case("Transpose", X),
    Case("DepthToSpace", spread(1, 12, 2, 3), blocksize=2),
    Case("DepthToSpace", spread(2, 8, 3, 2), blocksize=2, mode="CRD"),
    Case("SpaceToDepth", spread(2, 3, 4, 6), blocksize=2),
    Case("SpaceToDepth", spread(1, 2, 3, 6), blocksize=3),
]

JOINS = [
    Case("Concat", spread(2, 1), spread(2, 3), spread(2, 2), axis=1),
    Case("Concat", spread(1, 3), spread(2, 3), axis=-2),
    Case("Concat", X, axis=0),
    Case("Split", spread(2, 7), ints(1, 4, 2), axis=1, outputs=3, used=(0, 1, 2)),
    Case("Split", spread(2, 7), ints(1, 4, 2), axis=-1, outputs=3, used=(1,)),
    Case("Split", spread(2, 7), axis=1, num_outputs=3, outputs=3, used=(0, 2)),
    Case("Split", spread(4, 2), outputs=2, used=(0, 1), opset=13),
]

CUTS = [
    _slice(X, (1, 1, 3, 1)),
    _slice(X, (1, 0, 2, 1), (2, 1, 3, 1), steps=False),
    Case("Slice", X, ints(0, 1), ints(2, 3)),
    _slice(X, (2, -1, LEAST, -1)),
    _slice(X, (-1, 3, 0, -2), (0, 1, MOST, 1)),
    _slice(X, (2, 0, MOST, 3), (1, -2, MOST, 1)),
    _slice(X, (2, 100, -100, -3), (1, -1, LEAST, -2)),
    _slice(X, (0, 0, 2, 1)),
    _slice(spread(9), (0, 1, 9, 4)),
    _slice(X, (1, -3, -1, 1), (2, -100, 100, 2)),
]

TAKEN = [
    Case("Gather", spread(5, 2), ints(3, 0)),
    Case("Gather", spread(5, 2), ints(3, 0, 3, 3)),
    Case("Gather", spread(5, 2), ints(4, 3, 2, 1, 0)),
    Case("Gather", spread(5, 2), ints(0, 1, 2, 3, 4)),
    Case("Gather", X, ints(-1, 0, -1), axis=1),
    Case("Gather", X, ints(1).reshape(()), axis=2),
    Case("Gather", X, ints(1, 3, 0, 3).reshape(2, 2), axis=-1),
    Case("Gather", spread(5), ints(2, 2, 1).reshape(1, 3)),
    Case("Gather", spread(5), ints(-2).reshape(())),
]

REPEATED = [
    Case("Expand", spread(3, 1), ints(2, 3, 4)),
    Case("Expand", spread(3, 1), ints(1, 1)),
    Case("Expand", X, ints(1)),
    Case("Expand", np.float32(0.5).reshape(()), ints(2, 2)),
    Case("Tile", X, ints(1, 2, 3)),
    Case("Tile", spread(3), ints(1)),
    Case("Tile", spread(1, 2), ints(3, 1)),
]

MODES = ("constant", "edge", "reflect", "wrap")
PADS = [
    *(Case("Pad", SQUARE, ints(0, 0, 1, 2, 0, 0, 2, 1), mode=mode, opset=19) for mode in MODES),
    *(Case("Pad", SQUARE, ints(0, 0, 3, 0, 0, 1, 0, 4), mode=mode, opset=19) for mode in ("constant", "edge", "wrap")),
    *(Case("Pad", SQUARE, ints(2, 0, 1, 1), None, ints(2, -1), mode=mode) for mode in MODES[:3]),
    *(Case("Pad", SQUARE, ints(0, 0, -1, -1, 0, 0, -2, 0), mode=mode) for mode in MODES[:3]),
    *(Case("Pad", SQUARE, ints(0, 0, -1, 2, 0, 0, 1, -1), mode=mode) for mode in MODES[:2]),
    Case("Pad", SQUARE, ints(0, 0, 1, 0, 0, 1, 0, 0), Fixed(0.7)),
    Case("Pad", SQUARE, ints(0, 0, 0, 0, 0, 0, 0, 0)),
    Case("Pad", spread(3), ints(1, 1), mode="reflect"),
]

MOVEMENT = [*RESHAPES, *JOINS, *CUTS, *TAKEN, *REPEATED, *PADS]
