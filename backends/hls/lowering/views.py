"""What a tensor takes of a layer: rows, columns and channels at regular steps, with zeros around.

Tensors are followed literally: ``places`` says for each element where in the layer, read row by row, it lies, -1 for a
zero that was padded. Reshapes, transposes, slices and gathers are then numpy's own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..network import Shape

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Span:
    """Of ``size`` rows (or columns), ``start``, ``start + step``, …: ``count`` of them; what lies outside is zero."""

    start: int
    step: int
    count: int
    size: int

    @property
    def indices(self) -> Ints:
        """The rows, -1 where there is none."""
        found = self.start + self.step * np.arange(self.count)
        return np.where((found >= 0) & (found < self.size), found, -1)

    @property
    def pads(self) -> tuple[int, int] | None:
        """Zeros before and behind, where all rows are there; else None."""
        behind = self.start + self.step * (self.count - 1) - (self.size - 1)
        return (-self.start, behind) if self.step == 1 and self.start <= 0 <= behind else None

    @property
    def window(self) -> tuple[int, int, int, int]:
        """A window that reads it: its length, the place in it that is read, and zeros before and behind."""
        tap, before = max(self.start, 0), max(-self.start, 0)
        needed = self.step * (self.count - 1) + tap + 1
        behind = max(0, needed - self.size - before)
        longer = (self.size + before + behind - needed) // self.step * self.step
        return tap + 1 + longer, tap, before, behind


@dataclass(frozen=True, eq=False)
class View:
    """``channels``: the channels taken, in order, -1 for one of zeros."""

    rows: Span
    columns: Span
    channels: Ints
    depth: int

    @property
    def takes_all_channels(self) -> bool:
        """Whether it has the layer's channels as they are."""
        return len(self.channels) == self.depth and bool((self.channels == np.arange(self.depth)).all())

    @property
    def pads(self) -> tuple[int, int, int, int] | None:
        """Zeros above, left, below and right of all the layer's pixels; None where not all are there, in order."""
        rows, columns = self.rows.pads, self.columns.pads
        return (rows[0], columns[0], rows[1], columns[1]) if rows and columns else None

    @property
    def is_whole(self) -> bool:
        """Whether it is the layer itself."""
        return self.takes_all_channels and self.pads == (0, 0, 0, 0)


def find(places: Ints, shape: Shape) -> View | None:
    """Recognise ``places`` (C', H', W') of a layer of ``shape`` (H, W, C); None where they are no such view."""
    height, width, depth = shape
    there = places >= 0
    if not there.any():
        return None
    row, column, channel = np.unravel_index(np.where(there, places, 0), shape)
    rows = _span(_common(row, there, (0, 2)), height)
    columns = _span(_common(column, there, (0, 1)), width)
    channels = _common(channel, there, (1, 2))
    if rows is None or columns is None:
        return None
    view = View(rows, columns, channels, depth)
    return view if (_expanded(view, width) == places).all() else None


def _common(index: Ints, there: npt.NDArray[np.bool_], axes: tuple[int, int]) -> Ints:
    """Reduce an index to one axis; -1 where only zeros are."""
    return np.asarray(np.where(there, index, -1).max(axes))


def _span(index: Ints, size: int) -> Span | None:
    (known,) = np.nonzero(index >= 0)
    first = known[0]
    step = 1
    if len(known) > 1:
        step = int(index[known[1]] - index[first]) // int(known[1] - first)
    return Span(int(index[first] - step * first), step, len(index), size) if step > 0 else None


def _expanded(view: View, width: int) -> Ints:
    rows, columns = view.rows.indices[None, :, None], view.columns.indices[None, None, :]
    channels = view.channels[:, None, None]
    places = (rows * width + columns) * view.depth + channels
    return np.asarray(np.where((rows >= 0) & (columns >= 0) & (channels >= 0), places, -1))
