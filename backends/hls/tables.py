"""The tables that hls4ml looks curves up in: 1024 entries, as the C++ of its Vitis backend fills them."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from .fixed import Fixed
from .network import Floats

ENTRIES = 1024
TABLES = {"elu": -8, "sigmoid": 16, "softplus": 16, "softsign": 16, "tanh": 8}
"""The width of the range that each table spans, centred at 0; that of elu goes from 0 to -8."""

_Singles = npt.NDArray[np.float32]


def table_type(kind: str) -> Fixed:
    """Return the type of a table's entries: of 18 bits, up to 2, and to 8 for softplus."""
    return Fixed(18, 4 if kind == "softplus" else 2, rounds=True, saturates=True)


def entries(kind: str, grid: Fixed) -> Floats:
    """Return the (1024,) values of a table on its grid."""
    steps = np.arange(ENTRIES) - (0 if kind == "elu" else ENTRIES / 2)
    points = (TABLES[kind] * steps / ENTRIES).astype(np.float32)
    return grid.cast(_CURVES[kind](points))


def looked_up(kind: str, values: Floats, grid: Fixed, slope: float = 1.0) -> Floats:
    """Return the entries for values: the index is cut towards zero, and held inside the table.

    Of elu ``slope`` times the entry; what is not negative stays.
    """
    index = np.trunc(values * ENTRIES / TABLES[kind]) + (0 if kind == "elu" else ENTRIES // 2)
    found = np.asarray(entries(kind, grid)[np.clip(index, 0, ENTRIES - 1).astype(np.int64)])
    return np.where(values >= 0, values, slope * found) if kind == "elu" else found


def _exponential(points: _Singles) -> Floats:
    """Return what ``std::exp`` gives for a float."""
    return np.exp(points.astype(np.float64)).astype(np.float32).astype(np.float64)


def _single(values: Floats) -> Floats:
    """Round to a float, which the C++ returns."""
    return values.astype(np.float32).astype(np.float64)


_CURVES: dict[str, Callable[[_Singles], Floats]] = {
    "elu": lambda points: _single(_exponential(points) - 1.0),
    "sigmoid": lambda points: _single(1.0 / _single(1.0 + _exponential(-points))),
    "softplus": lambda points: _single(np.log(_exponential(points) + 1.0)),
    "softsign": lambda points: _single(points / (np.abs(points).astype(np.float64) + 1.0)),
    "tanh": lambda points: np.tanh(points.astype(np.float64)),
}
