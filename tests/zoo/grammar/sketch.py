"""A network being drawn, and the choices a layer of the grammar makes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from hypothesis import strategies as st

from ..builder import Builder

Draw = Callable[[st.SearchStrategy[int]], int]


@dataclass
class Sketch:
    """A network being drawn: its builder, its tensors so far, and the source of choices."""

    b: Builder
    draw: Draw
    tensors: list[str] = field(default_factory=list)
    parameters: list[list[str]] = field(default_factory=list)

    def number(self, low: int, high: int) -> int:
        """Draw an integer, both ends included."""
        return self.draw(st.integers(low, high))

    def pick(self, items: Sequence[int | str]) -> int:
        """Draw a place in a sequence."""
        return self.number(0, len(items) - 1)

    def sizes(self, x: str) -> list[int]:
        """Lengths of all axes but the batch."""
        return [self.b.size(x, axis) for axis in range(1, len(self.b.shape(x)))]

    def rank(self, x: str) -> int:
        """Number of axes."""
        return len(self.b.shape(x))

    def axis(self, x: str) -> int:
        """Draw an axis, not the batch."""
        return self.number(1, self.rank(x) - 1)

    def like(self, x: str) -> list[str]:
        """List the tensors of the same shape as ``x``."""
        return [t for t in self.tensors if self.b.shape(t) == self.b.shape(x)]
