"""Convolution and pooling on arrays, channels last, many samples at once.

Sums run in float64: they are exact wherever the terms are integers (or lie on one grid) and the sums fit in 53 bits.
"""

from collections.abc import Iterator
from typing import Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Pair = tuple[int, int]
Pads = tuple[int, int, int, int]


def convolve(x: Floats, kernel: Floats, strides: Pair, pads: Pads, depthwise: bool = False) -> Floats:
    """Correlate ``x`` (n, H, W, C) with ``kernel`` (kh, kw, C, C_out), or (kh, kw, C, 1) where ``depthwise``.

    ``pads``: zeros above, left, below and right. Gives (n, H', W', C_out), H' = (H + above + below - kh) // stride + 1.
    """
    taps = kernel.reshape(-1, *kernel.shape[2:])
    places = _places(pad(x, pads, 0.0), (kernel.shape[0], kernel.shape[1]), strides)
    if depthwise:
        return np.asarray(sum(part * tap[:, 0] for part, tap in zip(places, taps, strict=True)))
    return np.asarray(sum(part @ tap for part, tap in zip(places, taps, strict=True)))


def pool(x: Floats, kind: Literal["max", "average"], size: Pair, strides: Pair, pads: Pads) -> Floats:
    """Take the largest or the mean of each window of ``x`` (n, H, W, C); padded places do not count."""
    if kind == "max":
        places = _places(pad(x, pads, -np.inf), size, strides)
        return np.asarray(np.maximum.reduce(list(places)))
    return window_sums(x, size, strides, pads) / window_counts((x.shape[1], x.shape[2]), size, strides, pads)


def window_sums(x: Floats, size: Pair, strides: Pair, pads: Pads) -> Floats:
    """Sum each window of ``x`` (n, H, W, C)."""
    return np.asarray(sum(_places(pad(x, pads, 0.0), size, strides)))


def window_counts(image: Pair, size: Pair, strides: Pair, pads: Pads) -> Floats:
    """Count the places of each window that are not padding: (1, H', W', 1)."""
    return window_sums(np.ones((1, *image, 1)), size, strides, pads)


def pad(x: Floats, pads: Pads, value: float) -> Floats:
    """Put ``value`` around ``x`` (n, H, W, C): above, left, below and right."""
    above, left, below, right = pads
    return np.pad(x, ((0, 0), (above, below), (left, right), (0, 0)), constant_values=value)


def _places(x: Floats, size: Pair, strides: Pair) -> Iterator[Floats]:
    """For each place in a window, row by row, what all windows have there."""
    rows, columns = ((n - k) // s + 1 for n, k, s in zip(x.shape[1:3], size, strides, strict=True))
    for i in range(size[0]):
        for j in range(size[1]):
            yield x[:, i : i + rows * strides[0] : strides[0], j : j + columns * strides[1] : strides[1]]
