"""Swaps between removed and kept units that lower the exact compensated loss (arrays only).

With ``S`` the kept and ``R`` the removed rows, let ``P = inv(H_SS)``, ``B = H_RS P``, ``C = H_RR - B H_SR``, ``W`` the
refitted weight on ``S`` and ``G`` the covariance of ``R`` with what is missing of the output. Taking unit j back, with
``C_jj = L L^T``, ``Y = inv(L) B_j`` and ``z = inv(L) G_j``, lowers the loss by ``|z|^2`` and gives ``P + Y^T Y`` and
``W - Y^T z``; dropping unit i then costs ``tr(W_i^T inv(P_ii) W_i)`` of these (methods.md#gain and #cost).

Local search by swaps as in OSSCAR (Meng et al., ICML 2024, arXiv 2403.12983); the block form over coupled readers and
equal counts per cell are ours.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_solve, lapack

from ...ir.graph import Array
from ..analysis.statistics.moments import factor
from ..analysis.statistics.substitutes import rows_by_taps
from .conditional import Part

MOST_SWAPS = 8
MOST_TRIED = 24
LEAST_GAIN = 1e-6


def reduced(part: Part, gone: Array) -> Part:
    """Return a part without the units marked in ``gone`` (units,), its weight refitted to make up for them.

    What further removals cost there is what they add to the loss of the whole.
    """
    left = np.flatnonzero(~gone[part.unit])
    kept = part.covariance[np.ix_(left, left)]
    lower, _ = factor(kept, 0.0)
    weight = cho_solve((lower, True), part.covariance[left] @ part.weight, check_finite=False)
    return Part(kept, weight, part.unit[left], part.moves[left])


def improved(parts: Sequence[Part], gone: Array, cell_of: Array) -> Array:
    """Swap units of ``gone`` (units,) with kept units of the same cell while that lowers the loss; return a new mask.

    Each step makes the best swap among the ``MOST_TRIED`` removed units that would explain most; at most
    ``MOST_SWAPS``. ``cell_of`` (units,) numbers the cells.
    """
    gone = gone.copy()
    for _ in range(MOST_SWAPS):
        found = best_swap(parts, gone, cell_of)
        if found is None:
            break
        back, out = found
        gone[back], gone[out] = False, True
    return gone


def best_swap(parts: Sequence[Part], gone: Array, cell_of: Array) -> tuple[int, int] | None:
    """Return the unit to take back and the one to drop for it, or None when no swap lowers the loss."""
    if not gone.any():
        return None
    states = [_State.of(part, gone) for part in parts]
    gains = sum((state.gains for state in states), np.zeros(len(gone)))
    best, change = None, -LEAST_GAIN * float(gains.sum())
    for back in np.argsort(np.where(gone, -gains, np.inf), kind="stable")[: min(int(gone.sum()), MOST_TRIED)].tolist():
        costs = sum((state.costs_with(back) for state in states), np.zeros(len(gone)))
        allowed = ~gone & (cell_of == cell_of[back])
        if not allowed.any():
            continue
        out = int(np.argmin(np.where(allowed, costs, np.inf)))
        if costs[out] - gains[back] < change:
            best, change = (back, out), float(costs[out] - gains[back])
    return best


@dataclass(frozen=True)
class _State:
    """One part with some units gone: ``P``, ``W``, ``B`` and ``G`` of the module, and what each unit would explain.

    ``kept`` lists units (n,) and their rows (n, k) of ``inverse`` and ``weight``; ``removed`` has ``inv(L)`` (k, k) and
    the rows (k,) of ``across`` and ``missing`` of each removed unit; ``gains`` is (units,).
    """

    inverse: Array
    weight: Array
    across: Array
    missing: Array
    kept: list[tuple[Array, Array]]
    removed: dict[int, tuple[Array, Array]]
    gains: Array

    @staticmethod
    def of(part: Part, gone: Array) -> "_State":
        """Solve for the kept rows. Cost d^3."""
        inside, outside = np.flatnonzero(~gone[part.unit]), np.flatnonzero(gone[part.unit])
        inverse = np.linalg.inv(part.covariance[np.ix_(inside, inside)])
        cross = part.covariance[np.ix_(outside, inside)]
        across = cross @ inverse
        weight = inverse @ (part.covariance[inside] @ part.weight)
        missing = part.covariance[outside] @ part.weight - cross @ weight
        left = part.covariance[np.ix_(outside, outside)] - across @ cross.T
        removed, gains = {}, np.zeros(len(gone))
        for unit in np.unique(part.unit[outside]).tolist():
            rows = np.flatnonzero(part.unit[outside] == unit)
            whiten, _ = lapack.dtrtri(np.linalg.cholesky(left[np.ix_(rows, rows)]), lower=1)
            removed[unit] = whiten, rows
            gains[unit] = np.square(whiten @ missing[rows]).sum()
        return _State(inverse, weight, across, missing, list(rows_by_taps(part.unit[inside])), removed, gains)

    def costs_with(self, back: int) -> Array:
        """Return what dropping each kept unit costs once unit ``back`` is kept again, (units,)."""
        total = np.zeros(len(self.gains))
        whiten, rows = self.removed.get(back, (np.empty((0, 0)), np.empty(0, np.int64)))
        shift, missing = whiten @ self.across[rows], whiten @ self.missing[rows]
        for names, places in self.kept:
            step = shift[:, places].transpose(1, 2, 0)
            corner = self.inverse[places[:, :, None], places[:, None, :]] + step @ step.mT
            weight = self.weight[places] - step @ missing
            total[names] = np.einsum("nii->n", np.linalg.solve(corner, weight @ weight.mT))
        return total
