"""Readers reduced to the inputs that can go, and the exact compensated loss of a nested order (arrays only).

Inputs that never go make up for the others whatever is chosen, so with ``f`` the fixed and ``u`` the removable rows all
that matters is ``R = S_uu - S_uf inv(S_ff) S_fu`` and ``W_u``: the loss (methods.md#loss) is a function of these.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...ir.graph import Array
from ..analysis.channels.readers import Reader
from ..analysis.statistics.moments import factor
from ..analysis.statistics.substitutes import relative, shrunk

RIDGE = 1e-4
_CONSTANT = 1e-12


@dataclass(frozen=True)
class Part:
    """One reader's removable rows, by ascending ``unit`` (d,).

    ``covariance`` (d, d) given the rows that always stay, positive definite; ``weight`` (d, m) is scaled so that
    ``tr(W^T S W) = 1`` for the whole reader; ``moves`` (d,) tells inputs that vary over the samples.
    """

    covariance: Array
    weight: Array
    unit: Array
    moves: Array


def scales(readers: Sequence[Reader]) -> list[float]:
    """Return :func:`relative` of every reader; nothing unless all have full covariances and some an output that varies.

    Cost 2 d^2 m a reader.
    """
    if not all(reader.cov is not None and reader.cov.ndim == 2 for reader in readers):
        return []
    found = [relative(reader) for reader in readers]
    return found if any(found) else []


def conditioned(readers: Sequence[Reader]) -> list[Part]:
    """Reduce readers to what can go; nothing when :func:`scales` gives nothing. Constant readers drop out.

    The covariances get each reader's own ridge and another ``RIDGE`` of their mean diagonal, or more where they are
    still not positive definite. Raises NumericalError on NaN or Inf. Cost d^3 / 3 a reader.
    """
    pairs = zip(readers, scales(readers), strict=False)
    return [_conditioned(reader, scale) for reader, scale in pairs if (reader.unit >= 0).any() and scale]


def _conditioned(reader: Reader, scale: float) -> Part:
    assert reader.cov is not None
    order = np.argsort(reader.unit, kind="stable")
    fixed = int((reader.unit < 0).sum())
    total = shrunk(reader)[np.ix_(order, order)]
    lower, ridge = factor(total, RIDGE)
    free = total[fixed:, fixed:]
    if fixed:
        free = free - lower[fixed:, :fixed] @ lower[fixed:, :fixed].T
    free[np.diag_indices(len(free))] += ridge
    variance = np.diagonal(reader.cov)
    moves = variance > _CONSTANT * variance.mean()
    rows = order[fixed:]
    return Part(free, np.sqrt(scale) * reader.weight[rows], reader.unit[rows], moves[rows])


def constant_units(parts: Sequence[Part], units: int) -> Array:
    """Mark the units, (units,), none of whose inputs varies in any reader: their bias can take their place."""
    moving = np.zeros(units, bool)
    for part in parts:
        moving[part.unit[part.moves]] = True
    return ~moving


def compensated_curve(parts: Sequence[Part], rounds: Array) -> Array:
    """Return the loss after 0, 1, 2, … rounds, (rounds + 1,), the rest making up for what went (methods.md#loss).

    ``rounds`` (rounds, cells) lists every unit. With the rows ordered from the last to go to the first and
    ``R = L L^T``, each row explains its own of ``|L^T W|^2`` beyond what the rows before it do, so one Cholesky
    factorisation gives the loss of all nested sets at once. Cost d^3 / 3 + d^2 m a part.
    """
    when = np.empty(rounds.size, np.int64)
    when[rounds] = np.arange(len(rounds))[:, None]
    costs = np.zeros(len(rounds))
    for part in parts:
        order = np.argsort(-when[part.unit], kind="stable")
        lower, _ = factor(part.covariance[np.ix_(order, order)], 0.0)
        power = ((lower.T @ part.weight[order]) ** 2).sum(1)
        costs += np.bincount(when[part.unit[order]], power, len(rounds))
    return np.concatenate([[0.0], np.cumsum(costs)])
