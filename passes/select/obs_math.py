"""Block optimal-brain-surgeon elimination of channels, over all consumers of a group at once (arrays only).

Removing the rows ``u`` of a weight ``W`` (d, m) and refitting the others best costs ``tr(W_u^T inv(P_uu) W_u)``,
where ``P = inv(H)`` and ``H`` is the covariance of the layer's input (methods.md#cost). Removing in turn, with
``P_uu = L L^T``, ``V = inv(L) P_u:`` and ``z = inv(L) W_u``::

    cost = |z|^2,    W <- W - V^T z,    P <- P - V^T V

so the costs add up to exactly the best compensated loss of the set that is kept (methods.md#loss). Rows that are never
removed drop out at once: only their effect on ``P`` matters.

References: Hassibi, Stork, "Second order derivatives for network pruning", NIPS 1992; Kurtic, Frantar, Alistarh,
"ZipLM", arXiv 2302.04089 (block form). Ours: several consumers, equal counts per cell, exact batches from a pool.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg import blas, lapack

from ...ir.errors import NumericalError
from ..analysis.statistics.moments import factor

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

LEAST_RIDGE = 1e-8  # below it the downdates of P lose too many digits
POOL = 4  # candidates considered for every unit that a batch removes
WORK = 5e8  # matrix elements an elimination may touch before units go in batches
FEWEST_BATCHES = 64
CROWDED = 0.75  # rows are closed up when fewer than this share of them is still in use


@dataclass(frozen=True)
class Consumer:
    """One layer that reads the group. ``loss`` counts ``scale`` times its summed squared output error per sample.

    ``hessian`` (d, d) covariance of its input rows, ``weight`` (d, m), ``block_of_row`` (d,) the removable unit each
    row belongs to or -1, ``scale`` >= 0, for instance ``sensitivity / tr(W^T H W)``. ``ridge`` >= 0, relative to the
    mean diagonal, is added to ``hessian`` before anything else.
    """

    hessian: Floats
    weight: Floats
    block_of_row: Ints
    scale: float
    ridge: float = 0.0


@dataclass(frozen=True)
class Elimination:
    """``order`` (n,): units removed, cheapest first. ``loss`` (n + 1,): compensated loss after each, from 0.

    Each run of ``cells`` units holds one unit of every cell; ``cells`` is 1 where counts are free.
    """

    order: Ints
    loss: Floats
    cells: int

    @property
    def rounds(self) -> list[Ints]:
        """The units that go together, round by round."""
        return list(self.order.reshape(-1, self.cells))

    @property
    def curve(self) -> Floats:
        """Loss after 0, 1, 2, ... rounds: (rounds + 1,)."""
        return self.loss[:: self.cells]


def eliminate(
    consumers: Sequence[Consumer],
    units: int,
    *,
    ridge: float = 1e-4,
    cells: Ints | None = None,
    keep: Mask | None = None,
    batch: int | None = None,
) -> Elimination:
    """Order the units 0..units-1 of a group by greedy backward elimination with compensation.

    The loss of a removed set is ``sum_j scale_j (tr(W^T H W) - tr(W^T H_:S inv(H_SS) H_S: W))`` with ``S`` the rows
    left in consumer j and ``H`` its hessian plus ``max(ridge, 1e-8) * mean(diag)``, more where that is not positive
    definite. ``cells`` (units,) numbers the cells that must lose equally many units, ``keep`` (units,) marks units
    that stay. ``batch`` is how many rounds go between two updates of the full matrices: they are still chosen one unit
    at a time, exactly, but among the ``POOL * batch`` cheapest units of each cell. By default a small problem is one
    batch, so plain greedy, and a large one has 64 or more.

    Elimination goes on until some cell has nothing left to remove. Ties go to the lower index. A consumer without
    variance costs nothing. Raises ValueError on shapes that do not fit, NumericalError on NaN or Inf, or on a hessian
    that no relative ridge up to 1 makes positive definite. Cost O(d^3 + d^2 units k) a consumer, k rows a unit.
    """
    cell_of = np.zeros(units, np.int64) if cells is None else np.unique(cells, return_inverse=True)[1]
    free = np.ones(units, bool) if keep is None else ~keep
    if cell_of.shape != (units,) or free.shape != (units,):
        raise ValueError(f"cells and keep must have shape ({units},), got {cell_of.shape} and {free.shape}")
    number = int(cell_of.max(initial=0)) + 1
    rounds = int(np.bincount(cell_of[free], minlength=number).min())
    prepared = [_prepare(consumer, free, ridge) for consumer in consumers]
    states = [state for state in prepared if state is not None]
    try:
        order, costs = _in_batches(states, free, cell_of, rounds, batch or _batch(states, rounds, number))
    except np.linalg.LinAlgError as error:
        raise NumericalError("a hessian is too badly conditioned", value=ridge, hint="a larger ridge") from error
    loss = np.concatenate([[0.0], np.cumsum(costs)])
    if not np.isfinite(loss).all():
        raise NumericalError("NaN or Inf in the loss of an elimination", hint="check the weights and calibration data")
    return Elimination(np.array(order, np.int64), loss, number)


@dataclass
class _State:
    """A consumer in the course of elimination: ``P`` and ``sqrt(scale) W`` on removable rows, and whose they are.

    ``inverse`` (d, d) holds the lower triangle, in Fortran order, and ``weight`` (d, m) is in C order, so that BLAS
    updates both in place. ``owner`` (d,) is each row's unit. ``blocks`` says how the rows lie: for every number k of
    rows a unit has here, those units (n,) and k. A removed unit stays, with rows that move nothing, until closed up.
    """

    inverse: Floats
    weight: Floats
    owner: Ints
    blocks: list[tuple[Ints, int]]

    def scores(self, units: int) -> Floats:
        """Cost of removing each unit now, (units,); 0 for a unit not read here, and nothing of use for one gone."""
        total = np.zeros(units)
        start = 0
        for names, k in self.blocks:
            rows = np.arange(start, start + k * len(names)).reshape(-1, k)
            weight = self.weight[start : start + rows.size].reshape(len(names), k, -1)
            corner = self._entries(rows[:, :, None], rows[:, None, :])
            total[names] = np.einsum("nii->n", np.linalg.solve(corner, weight @ weight.mT))
            start += rows.size
        return np.maximum(total, 0.0)

    def remove(self, gone: Mask) -> None:
        """Remove the units marked in ``gone`` jointly and refit the rest."""
        rows = np.flatnonzero(gone[self.owner])
        if not len(rows):
            return
        across = self._entries(rows[:, None], np.arange(len(self.weight)))
        before = self.inverse[rows, rows]
        whiten, _ = lapack.dtrtri(np.linalg.cholesky(across[:, rows]), lower=1)
        across, white = whiten @ across, whiten @ self.weight[rows]
        self.inverse = blas.dsyrk(-1.0, across, 1.0, self.inverse, trans=1, lower=1, overwrite_c=1)
        self.weight = blas.dgemm(-1.0, white, across, 1.0, self.weight.T, trans_a=1, overwrite_c=1).T
        self.inverse[rows, rows] = before  # nothing else is left of these rows, and scores divide by it

    def take(self, pool: Mask) -> "_State":
        """Return a copy with the units of ``pool`` only: exact for them as long as no other unit is removed."""
        rows = np.flatnonzero(pool[self.owner])
        blocks = [(names[pool[names]], k) for names, k in self.blocks]
        inverse = self.inverse.T[np.ix_(rows, rows)].T
        return _State(inverse, self.weight[rows], self.owner[rows], [block for block in blocks if len(block[0])])

    def closed_up(self, free: Mask) -> "_State":
        """Return the state without rows of removed units, or itself while there are few."""
        return self.take(free) if np.count_nonzero(free[self.owner]) < CROWDED * len(self.owner) else self

    def _entries(self, rows: Ints, columns: Ints) -> Floats:
        """Return entries of ``P``, indices broadcast against each other."""
        return np.asarray(self.inverse[np.maximum(rows, columns), np.minimum(rows, columns)])


def _prepare(consumer: Consumer, free: Mask, ridge: float) -> _State | None:
    """Invert a consumer's hessian on the rows of free units; None when the consumer cannot cost anything."""
    owner, size = consumer.block_of_row, len(consumer.weight)
    if consumer.hessian.shape != (size, size) or owner.shape != (size,) or owner.max(initial=-1) >= len(free):
        shapes = f"hessian {consumer.hessian.shape}, weight {consumer.weight.shape}, block_of_row {owner.shape}"
        raise ValueError(f"a consumer's arrays do not fit each other or {len(free)} units: {shapes}")
    if not np.isfinite(consumer.weight).all() or not 0 <= consumer.scale < np.inf:
        hint = "check the weights and the sensitivity of the layer"
        raise NumericalError("NaN or Inf in a consumer's weight or scale", value=consumer.scale, hint=hint)
    removable = np.append(free, False)[owner]
    sizes = np.bincount(owner[removable], minlength=len(free))
    order = np.lexsort((owner, np.where(removable, sizes[owner], 0)))
    rows = order[size - int(removable.sum()) :]
    more = consumer.ridge + (1 + consumer.ridge) * max(ridge, LEAST_RIDGE)
    lower, _ = factor(_ordered(consumer.hessian, order), more)
    if not len(rows) or not consumer.scale or not np.diagonal(consumer.hessian).any():
        return None
    inverse, _ = lapack.dpotri(lower[size - len(rows) :, size - len(rows) :], lower=1, overwrite_c=1)
    blocks = [(np.flatnonzero(sizes == k), k) for k in np.unique(sizes[sizes > 0]).tolist()]
    return _State(inverse, np.sqrt(consumer.scale) * consumer.weight[rows], owner[rows], blocks)


def _ordered(matrix: Floats, order: Ints) -> Floats:
    """Return a matrix with its rows and columns in this order; itself where they are, for it may be large."""
    return matrix if (order[1:] > order[:-1]).all() else matrix[np.ix_(order, order)]


def _batch(states: Sequence[_State], rounds: int, cells: int) -> int:
    """Rounds between two full updates: all of them, or as few as keep the elements touched near ``WORK``."""
    touched = sum(state.inverse.size + state.weight.size for state in states)
    updates = max(FEWEST_BATCHES, int(WORK / max(touched, 1)))
    return max(1, rounds if rounds * cells <= updates else -(-rounds // updates))


def _scores(states: Sequence[_State], units: int) -> Floats:
    return sum((state.scores(units) for state in states), np.zeros(units))


def _in_batches(
    states: Sequence[_State], free: Mask, cell_of: Ints, rounds: int, size: int
) -> tuple[list[int], list[float]]:
    """Remove ``rounds`` units of every cell, ``size`` rounds at a time; return the units and their costs."""
    order: list[int] = []
    costs: list[float] = []
    while rounds:
        pool = free & _cheapest(_scores(states, len(free)), free, cell_of, POOL * size)
        everything = bool((pool == free).all())
        count = rounds if everything else min(size, rounds)
        chosen, paid = _one_by_one([state.take(pool) for state in states], pool, cell_of, count)
        gone = np.zeros(len(free), bool)
        gone[chosen] = True
        order, costs, rounds, free = order + chosen, costs + paid, rounds - count, free & ~gone
        for state in states if rounds else ():
            state.remove(gone)
        states = [state.closed_up(free) for state in states]
    return order, costs


def _cheapest(scores: Floats, free: Mask, cell_of: Ints, count: int) -> Mask:
    """Mark the ``count`` free units with the lowest scores in every cell."""
    order = np.lexsort((scores, cell_of, ~free))
    cells = cell_of[order]
    rank = np.arange(len(order)) - np.searchsorted(cells[: int(free.sum())], cells)
    marked = np.zeros(len(order), bool)
    marked[order] = rank < count
    return marked & free


def _one_by_one(states: Sequence[_State], pool: Mask, cell_of: Ints, rounds: int) -> tuple[list[int], list[float]]:
    """Plain greedy, using the states up: in every round the cheapest unit, then the cheapest of the other cells."""
    order: list[int] = []
    costs: list[float] = []
    left, gone = pool.copy(), np.zeros(len(pool), bool)
    for _ in range(rounds):
        waiting = left.copy()
        while waiting.any():
            for state in states:
                state.remove(gone)
            scores = np.where(waiting, _scores(states, len(pool)), np.inf)
            order.append(int(np.argmin(scores)))
            costs.append(float(scores[order[-1]]))
            gone = np.arange(len(pool)) == order[-1]
            left &= ~gone
            waiting &= cell_of != cell_of[order[-1]]
    return order, costs
