"""The tables that hls4ml looks sigmoid and tanh up in: 1024 entries, as the C++ of its Vitis backend fills them."""

import numpy as np
import numpy.typing as npt

from .fixed import Fixed
from .network import Floats

ENTRIES = 1024
TABLES = {"sigmoid": 16, "tanh": 8}
"""The width of the range that each table spans, centred at 0."""


def entries(kind: str, grid: Fixed) -> Floats:
    """Return the (1024,) values of a table on its grid."""
    span = TABLES[kind]
    points = (span * (np.arange(ENTRIES) - ENTRIES / 2) / ENTRIES).astype(np.float32)
    return grid.cast(_curve(kind, points))


def looked_up(kind: str, values: Floats, grid: Fixed) -> Floats:
    """Return the entries for values: the index is cut towards zero, and held inside the table."""
    index = np.trunc(values * ENTRIES / TABLES[kind]) + ENTRIES // 2
    return np.asarray(entries(kind, grid)[np.clip(index, 0, ENTRIES - 1).astype(np.int64)])


def _curve(kind: str, points: npt.NDArray[np.float32]) -> Floats:
    """Compute in float or double where the C++ does."""
    if kind == "tanh":
        return np.tanh(points.astype(np.float64))
    exponential = np.exp(-points)
    return (1.0 / (np.float32(1.0) + exponential).astype(np.float64)).astype(np.float32).astype(np.float64)
