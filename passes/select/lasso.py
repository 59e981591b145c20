"""``lasso``: the order in which channels leave an l1-regularised reconstruction of the output."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...ir.graph import Array
from ..analysis.channels.readers import Reader
from .activation import activation
from .conditional import compensated_curve, conditioned
from .criterion import FROM_MOMENTS, ByReaders
from .gram import contribution_gram, weight_norms

MOST_PENALTIES = 48
MOST_SWEEPS = 60
TOLERANCE = 1e-4
_FIRST = 1e-5


def lasso(readers: Sequence[Reader], form: tuple[int, int], rng: np.random.Generator) -> tuple[Array, Array]:
    """LASSO on one factor a channel (He, Zhang, Sun, ICCV 2017, arXiv 1707.06168).

    ``min_b |Y - sum_i b_i X_i W_i|^2 / 2 + alpha |b|_1`` with the weights ``W_i`` of every channel scaled to norm 1, by
    coordinate descent on the Gram matrix of the contributions (methods.md#gram) instead of sampled rows. ``alpha``
    grows, and what leaves for good goes. The curve is the compensated loss (methods.md#loss), as the paper refits by
    least squares at the end. Ours: several readers, all widths from one path. Without covariances: :func:`activation`.
    """
    parts = conditioned(readers)
    if not parts:
        return activation(readers, form, rng)
    units = form[0] * form[1]
    rank = leaving_order(contribution_gram(parts, units), weight_norms(parts, units))
    by_cell = np.argsort(rank.reshape(form), axis=1) + np.arange(form[0])[:, None] * form[1]
    return by_cell.T, compensated_curve(parts, by_cell.T)


@dataclass(frozen=True)
class _Solution:
    """The factors ``b`` (n,) at one penalty."""

    penalty: float
    factors: Array

    @property
    def count(self) -> int:
        return int(np.count_nonzero(self.factors))


def leaving_order(gram: Array, norms: Array) -> Array:
    """Return the place of each channel in the order of leaving, (n,): 0 leaves first.

    ``gram`` (n, n) positive semi-definite contributions, ``norms`` (n,) of the weights. The penalty is bisected, on a
    logarithmic scale, wherever the number of channels drops most between two penalties, up to ``MOST_PENALTIES`` or
    until they leave one by one; those that leave between the same two penalties do by their factor just before.
    """
    alive = (norms > 0) & (np.diagonal(gram) > 0)
    safe = np.where(alive, norms, 1.0)
    scaled = gram / np.outer(safe, safe)
    wanted = gram.sum(1) / safe
    start = np.where(alive, norms, 0.0)
    highest = float(np.abs(wanted).max(initial=0.0))
    path = [_Solution(0.0, start)]
    if highest > 0:
        low = _FIRST * highest
        path.append(_Solution(low, descend(scaled, wanted, low, start)))
        path.append(_Solution(highest, np.zeros(len(start))))
        _bisect(path, scaled, wanted)
    table = np.abs([solution.factors for solution in path])
    last = np.where(table > 0, np.arange(len(path))[:, None], -1).max(0)
    strength = np.where(last >= 0, table[last, np.arange(len(start))], 0.0)
    place = np.empty(len(start), np.int64)
    place[np.lexsort((-np.arange(len(start)), strength, last))] = np.arange(len(start))
    return place


def _bisect(path: list[_Solution], gram: Array, wanted: Array) -> None:
    """Insert solutions into a path of ascending penalties, in place."""
    while len(path) < MOST_PENALTIES:
        drops = [low.count - high.count for low, high in zip(path[1:], path[2:], strict=False)]
        place = int(np.argmax(drops)) + 1
        low, high = path[place], path[place + 1]
        if max(drops) <= 1 or high.penalty <= low.penalty * (1 + TOLERANCE):
            return
        middle = float(np.sqrt(low.penalty * high.penalty))
        path.insert(place + 1, _Solution(middle, descend(gram, wanted, middle, low.factors)))


def descend(gram: Array, wanted: Array, penalty: float, start: Array) -> Array:
    """Minimise ``b^T Q b / 2 - q^T b + penalty |b|_1`` by cyclic coordinate descent from ``start`` (n,).

    ``gram`` is ``Q`` (n, n), ``wanted`` is ``q`` (n,). A sweep visits only coordinates that can move: those not zero,
    and those whose gradient exceeds the penalty. Ends when none moves by more than ``TOLERANCE`` of the largest
    factor, or after ``MOST_SWEEPS``. What contributes nothing gets 0.
    """
    diagonal = np.diagonal(gram)
    factors = np.where(diagonal > 0, start, 0.0)
    slack = wanted - gram @ factors
    for _ in range(MOST_SWEEPS):
        largest = 0.0
        for i in np.flatnonzero((diagonal > 0) & ((factors != 0) | (np.abs(slack) > penalty))).tolist():
            pull = slack[i] + diagonal[i] * factors[i]
            step = np.sign(pull) * max(abs(pull) - penalty, 0.0) / diagonal[i] - factors[i]
            if step:
                slack -= step * gram[i]
                factors[i] += step
                largest = max(largest, abs(step))
        if largest <= TOLERANCE * np.abs(factors).max(initial=0.0):
            break
    return factors


LASSO = ByReaders(
    "lasso",
    'He, Zhang, Sun, "Channel pruning for accelerating very deep neural networks", ICCV 2017, arXiv 1707.06168',
    FROM_MOMENTS,
    lasso,
)
