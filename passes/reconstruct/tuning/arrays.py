"""What the optimiser asks of arrays, whichever library they are of, beside ``+ - * / @``, slices and reshape."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from ....ir.feeds import Feeds
from ....ir.graph import Array

State = Mapping[str, Any]
"""What is carried from step to step: vectors by name."""
Step = Callable[[Feeds, State, Mapping[str, Any]], State]
"""From a batch, the state and the rates of a step to the state after it."""


class Arrays(Protocol):
    """A library of arrays, and the machine that they lie on."""

    def joined(self, parts: Sequence[Any]) -> Any:
        """Return all entries of the parts as one vector."""

    def stacked(self, matrices: Sequence[Any], rows: int, columns: int) -> Any:
        """Return matrices as one array (matrices, rows, columns), with zeros below and to the right of each."""

    def repeated(self, step: Step) -> Step:
        """Return a step made quick to repeat; it is asked for batches of one size."""

    def read(self, values: Any) -> Array:
        """Return values as numpy has them."""


class NumpyArrays:
    """Arrays of numpy."""

    def joined(self, parts: Sequence[Array]) -> Array:
        """Return all entries of the parts as one vector."""
        return np.concatenate([part.ravel() for part in parts])

    def stacked(self, matrices: Sequence[Array], rows: int, columns: int) -> Array:
        """Return matrices as one array, with zeros below and to the right of each."""
        found = np.zeros((len(matrices), rows, columns), matrices[0].dtype)
        for place, matrix in zip(found, matrices, strict=True):
            place[: matrix.shape[0], : matrix.shape[1]] = matrix
        return found

    def repeated(self, step: Step) -> Step:
        """Return the step as it is."""
        return step

    def read(self, values: Array) -> Array:
        """Return values as they are."""
        return values
