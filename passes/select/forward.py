"""Greedy forward selection by block-pivoted Cholesky factorisation of the readers' covariances (arrays only).

With ``V`` the rows of the factor that belong to the chosen units, the covariance of the rest given them is
``R - V^T V``. Only its diagonal blocks are kept up to date, and the rows of a unit are completed when it is chosen
(left-looking), so a whole order costs one factorisation, d^3 / 3 a part. The covariance with the wanted output,
``G = (R - V^T V) W``, is updated along.
"""

from collections.abc import Callable, Sequence

import numpy as np
from scipy.linalg import lapack

from ...ir.graph import Array
from ..analysis.statistics.substitutes import rows_by_taps
from .conditional import Part


class Partial:
    """One part in the course of selection. ``across`` (d, m) is ``G`` above."""

    def __init__(self, part: Part) -> None:
        self._covariance = part.covariance
        self._unit = part.unit
        self._factor = np.empty_like(part.covariance)
        self._used = 0
        self.across = part.covariance @ part.weight
        found = list(rows_by_taps(part.unit))
        self._blocks = [(n, rows, part.covariance[rows[:, :, None], rows[:, None, :]]) for n, rows in found]

    def variances(self, units: int) -> Array:
        """Return the trace of each unit's covariance given the chosen ones, (units,); 0 for units chosen or unread."""
        total = np.zeros(units)
        for names, _, corners in self._blocks:
            total[names] = np.einsum("nkk->n", corners)
        return total

    def gains(self, units: int) -> Array:
        """Return how much of the output each unit would explain more, (units,) (methods.md#gain).

        ``tr(G_j^T inv(R_jj) G_j)`` with ``R`` and ``G`` given the chosen units.
        """
        total = np.zeros(units)
        for names, rows, corners in self._blocks:
            across = self.across[rows]
            total[names] = np.einsum("nkk->n", np.linalg.solve(corners, across @ across.mT))
        return total

    def take(self, unit: int) -> None:
        """Choose a unit. Raises LinAlgError when it is a combination of those chosen before."""
        rows = np.flatnonzero(self._unit == unit)
        if not len(rows):
            return
        before = self._factor[: self._used]
        raw = self._covariance[rows] - before[:, rows].T @ before
        whiten, _ = lapack.dtrtri(np.linalg.cholesky(raw[:, rows]), lower=1)
        new = whiten @ raw
        self._factor[self._used : self._used + len(rows)] = new
        self._used += len(rows)
        self.across -= new.T @ (whiten @ self.across[rows])
        self._blocks = [_updated(*block, new, unit) for block in self._blocks]


def _updated(names: Array, rows: Array, corners: Array, new: Array, unit: int) -> tuple[Array, Array, Array]:
    left = names != unit
    names, rows, corners = names[left], rows[left], corners[left]
    step = new[:, rows].transpose(1, 2, 0)
    return names, rows, corners - step @ step.mT


def forward(
    partials: Sequence[Partial], form: tuple[int, int], last: Array, score: Callable[[Partial, int], Array]
) -> Array:
    """Choose the unit with the highest ``score``, summed over the parts, again and again; return the reverse order.

    ``form`` is (cells, width); in every round one unit of each cell is chosen, so the result is (width, cells), first
    to go first. Units marked in ``last`` (cells * width,) are chosen when a cell has nothing else, and never enter
    the factors. Ties go to the lower index, which then stays longer.
    """
    cells, width = form
    units = cells * width
    cell_of = np.repeat(np.arange(cells), width)
    left, order = np.ones(units, bool), []
    for _ in range(width):
        waiting = left.copy()
        while waiting.any():
            value = sum((score(partial, units) for partial in partials), np.zeros(units))
            best = int(np.argmax(np.where(waiting, np.where(last, -1.0, value), -np.inf)))
            order.append(best)
            left[best] = False
            waiting &= left & (cell_of != cell_of[best])
            if not last[best]:
                for partial in partials:
                    partial.take(best)
    return np.array(order[::-1], np.int64).reshape(width, cells)
