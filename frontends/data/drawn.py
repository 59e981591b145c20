"""Samples of a user's function, drawn once: a function may go on for ever, or give other values the next time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Any

import numpy as np

from ...ir.errors import CalibrationError
from ...ir.graph import Array
from ...ir.memory import afford
from ..scripts import guarded

Piece = Mapping[str, Array]
_MOST = 65_536  # samples that are taken where nobody says how many
_SECONDS = 40.0  # and how long that may take
_COPIES = 2  # of the samples: as drawn, and what is computed from them


@dataclass(frozen=True)
class Drawn:
    """Pieces in memory, as a source of samples."""

    pieces: tuple[Piece, ...]

    def __call__(self) -> Iterator[Piece]:
        return iter(self.pieces)


def stepwise(made: Callable[[], object], called: str, samples: int | None) -> Iterator[object]:
    """Yield what a function yields, or the one dict or array that it returns; guarded.

    Without ``samples``, it may take 40 s in all. Raises CalibrationError.
    """
    end = monotonic() + _SECONDS
    pieces: Iterator[object] | None = None
    while True:
        with guarded(f"{called} failed", None if samples is not None else max(end - monotonic(), 1e-3)):
            pieces = _started(made()) if pieces is None else pieces
            piece = next(pieces, None)
        if piece is None:
            return
        yield piece


def _started(found: Any) -> Iterator[object]:
    return iter([found]) if isinstance(found, Mapping | np.ndarray) else iter(found)


def drawn(pieces: Iterable[Piece], count: Callable[[Piece], int], called: str, samples: int | None) -> Drawn:
    """Hold the first ``samples`` samples, as ``count`` tells, or all; arrays are copied: a function may use them again.

    Raises CalibrationError for more than 65,536 samples where nobody says how many, or an empty piece, BudgetError for
    samples that take too much memory.
    """
    held: list[Piece] = []
    total = size = 0
    for piece in pieces:
        if not count(piece):
            raise CalibrationError(f"{called} yields a batch of no samples")
        total += count(piece)
        size += sum(array.nbytes for array in piece.values())
        afford(_COPIES * size, f"what {called} yields")
        held.append({name: np.array(array) for name, array in piece.items()})
        if samples is not None and total >= samples:
            break
        if samples is None and total > _MOST:
            raise CalibrationError(f"{called} yields more than {_MOST:,} samples", hint="say how many: --samples N")
    return Drawn(tuple(held))
