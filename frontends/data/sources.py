"""Where pieces of data come from in Python: arrays, lists, functions. All are classes, for processes are sent them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from ...ir.feeds import Calibration
from .drawn import stepwise

Placed = Callable[[], Iterator[tuple[str, object]]]
"""Starts a stream anew; each piece, a dict of arrays or one array, comes with the name of where it was found."""


@dataclass(frozen=True)
class One:
    """A piece in memory."""

    place: str
    piece: object

    def __call__(self) -> Iterator[tuple[str, object]]:
        yield self.place, self.piece


@dataclass(frozen=True)
class Batches:
    """Samples that were read before."""

    whole: Calibration
    size: int

    def __call__(self) -> Iterator[tuple[str, object]]:
        return (("a batch", batch) for batch in self.whole.batches(self.size))


@dataclass(frozen=True)
class Pieces:
    """A list of pieces."""

    pieces: Iterable[object]

    def __call__(self) -> Iterator[tuple[str, object]]:
        return ((f"batch {place}", piece) for place, piece in enumerate(self.pieces))


@dataclass(frozen=True)
class Function:
    """What a user's function yields."""

    made: Callable[[], object]
    called: str
    samples: int | None

    def __call__(self) -> Iterator[tuple[str, object]]:
        pieces = stepwise(self.made, self.called, self.samples)
        return ((f"batch {place} of {self.called}", piece) for place, piece in enumerate(pieces))
