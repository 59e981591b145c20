"""Floats as integer codes: ranges, and the scales on which least is lost (arrays only)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ....ir.graph import Array

PER_AXIS = 13
"""The operator set since which DequantizeLinear takes scales along an axis."""
_SHARES = np.linspace(1.0, 0.5, 11)
"""Of the largest entry, that a scale may reach: rounding is finer where few entries are cut off."""
_NARROW = {"int2": 2, "uint2": 2, "int4": 4, "uint4": 4}
_SPARED = 128  # a longer range is not cut off: its rounding is fine enough


def is_codes(dtype: Any) -> bool:
    """Whether a type is one of integers, of four bits and two too."""
    return np.dtype(dtype).kind in "iu" or np.dtype(dtype).name in _NARROW


def limits(dtype: Any) -> tuple[int, int]:
    """Return the least and the largest code of an integer type, four bits and two too."""
    name = np.dtype(dtype).name
    if name not in _NARROW:
        info = np.iinfo(dtype)
        return int(info.min), int(info.max)
    many = 2 ** _NARROW[name]
    return (0, many - 1) if name[0] == "u" else (-many // 2, many // 2 - 1)


def centre(dtype: Any) -> int:
    """Return the code that stands for zero where as many lie above as below, and one more: 0 of a signed type."""
    low, high = limits(dtype)
    return (low + high + 1) // 2


def fitted_scale(values: Array, axes: Sequence[int], dtype: Any) -> Array:
    """Return scales of symmetric codes, in float64 with ``axes`` kept at size 1: one for what lies along ``axes``.

    Of a few shares of the largest entry the one whose squared error is least; 1 where all is zero.
    """
    reach = limits(dtype)[1] - centre(dtype)
    peak = np.abs(values).max(axis=tuple(axes), keepdims=True, initial=0.0).astype(np.float64)
    whole = best = np.where(peak > 0, peak / reach, 1.0)
    if reach >= _SPARED - 1:
        return whole
    least = np.full(best.shape, np.inf)
    for share in _SHARES:
        step = whole * share
        error = ((np.clip(np.round(values / step), -reach, reach) * step - values) ** 2).sum(tuple(axes), keepdims=True)
        best, least = np.where(error < least, step, best), np.minimum(error, least)
    return best


def coded(values: Array, scale: Array, zero: Array | int, dtype: Any) -> Array:
    """Return the codes of ``values`` on a broadcastable ``scale`` and ``zero``: rounded to even, cut off at the ends.

    Signed codes about zero stay symmetric, so that no product of two overflows where hardware adds pairs.
    """
    low, high = limits(dtype)
    lowest = -high if low < 0 and not np.any(zero) else low
    return np.clip(np.round(values / scale) + zero, lowest, high).astype(dtype)


def spanned(low: float, high: float, dtype: Any) -> tuple[float, int]:
    """Return the scale and the zero point of codes that reach from ``low`` to ``high``, and hold zero exactly."""
    first, last = limits(dtype)
    low, high = min(low, 0.0), max(high, 0.0)
    scale = (high - low) / (last - first) or 1.0
    return scale, int(np.clip(round(first - low / scale), first, last))
