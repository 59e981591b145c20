"""Tuning of scales: one factor for every row of a matrix in place of its entries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ....ir.feeds import Feeds
from .optimiser import is_matrix
from .task import Objective


class Scales:
    """An objective of factors, (rows,) by weight, that multiply the weights along their first axis, and of vectors."""

    def __init__(self, inner: Objective) -> None:
        self._inner, self.arrays = inner, inner.arrays
        self._rows = {name: value for name, value in inner.start().items() if is_matrix(value.shape)}

    def start(self) -> dict[str, Any]:
        """Return vectors as they are, and factors of 1."""
        ones = {name: (value * 0 + 1).reshape(len(value), -1)[:, 0] for name, value in self._rows.items()}
        return {**self._inner.start(), **ones}

    def slopes(self, feeds: Feeds, weights: Mapping[str, Any]) -> tuple[float, dict[str, Any]]:
        """Return the loss of a batch, and its slope by every vector and factor."""
        loss, found = self._inner.slopes(feeds, self._multiplied(weights))
        rows = self._rows.keys() & found.keys()
        sums = {name: (found[name] * self._rows[name]).reshape(len(found[name]), -1).sum(1) for name in rows}
        return loss, {**found, **sums}

    def whole(self, weights: Mapping[str, Any]) -> dict[str, Any]:
        """Return the weights that factors stand for."""
        return self._multiplied(weights)

    def _multiplied(self, weights: Mapping[str, Any]) -> dict[str, Any]:
        spread = {
            name: value * weights[name].reshape(-1, *[1] * (len(value.shape) - 1)) for name, value in self._rows.items()
        }
        return {**weights, **spread}
